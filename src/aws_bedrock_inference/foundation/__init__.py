"""The models of an account: foundation models, inference profiles and access to them, as `bedrock` lists them."""
