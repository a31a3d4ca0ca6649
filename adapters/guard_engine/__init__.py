"""Where policies are evaluated: OPA's Wasm in this process (`embedded`), or an OPA server (`server`).

Both are a `guard.engine.Engine`. `releases` loads the one that a guard.yaml names.
"""
