"""The models of an account: foundation models, inference profiles and the access to them, as `bedrock` lists them."""
