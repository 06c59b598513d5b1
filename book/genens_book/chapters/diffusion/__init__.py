"""The page for those who have never seen a diffusion model."""
