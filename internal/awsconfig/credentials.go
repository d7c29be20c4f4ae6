package awsconfig

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
)

// NoCredentials is the error code of calls that were not sent because no AWS credentials were found.
const NoCredentials = "NoCredentials"

// noCredentials replaces the SDK's error, which describes only the last place that the SDK searched: the metadata of
// the EC2 instance. It is an API error, so that it is handled as credentials that AWS rejects.
type noCredentials struct{ cause error }

func (noCredentials) ErrorMessage() string {
	return "no AWS credentials found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, " +
		"or give the machine or the ECS task a role"
}

func (e noCredentials) Error() string               { return e.ErrorMessage() }
func (noCredentials) ErrorCode() string             { return NoCredentials }
func (noCredentials) ErrorFault() smithy.ErrorFault { return smithy.FaultClient }
func (e noCredentials) Unwrap() error               { return e.cause }

// explained is a provider of credentials whose errors say what to do.
type explained struct{ aws.CredentialsProvider }

// Retrieve implements aws.CredentialsProvider.
func (p explained) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := p.CredentialsProvider.Retrieve(ctx)
	var call *smithy.OperationError
	if err != nil && ctx.Err() == nil && errors.As(err, &call) && call.Service() == "ec2imds" {
		return found, noCredentials{err}
	}
	return found, err
}
