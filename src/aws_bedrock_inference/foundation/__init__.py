"""Read which models an account can call: foundation models, inference profiles and the account's access to them. The
facts come from AWS's control-plane service, which boto3 calls `bedrock`.
"""
