"""Docker Engine API 1.41 and later, and engines that speak it (Podman), read through their socket."""
