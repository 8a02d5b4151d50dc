"""A model in one GGUF file, unpacked once into a Hugging Face folder that everything else reads."""
