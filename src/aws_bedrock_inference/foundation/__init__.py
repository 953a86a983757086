"""Read which models an account can call: foundation models, inference profiles and the account's access to them. The
source is AWS's control-plane service, whose name in boto3 is `bedrock`.
"""
