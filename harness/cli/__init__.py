"""The command line: each verb parses, calls one function and prints. Nothing heavy is imported at the top."""
