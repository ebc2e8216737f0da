"""The operations of the network in plain JAX: any device, any transformation."""
