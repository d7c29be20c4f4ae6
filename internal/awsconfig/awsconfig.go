// Package awsconfig makes the clients of AWS that Blox uses, with a limit on the time of every call.
package awsconfig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	smithy "github.com/aws/smithy-go/middleware"

	"github.com/blox/blox/internal/redact"
	"github.com/blox/blox/internal/version"
)

// The times that one attempt of a call may take. A long poll of SQS answers after 20 s.
const (
	connectTimeout = 5 * time.Second
	headerTimeout  = 30 * time.Second
	callTimeout    = 40 * time.Second
)

// Load finds region, credentials, endpoints and retries (three attempts unless AWS_MAX_ATTEMPTS says otherwise) as every
// program built on the AWS SDK does: from the environment, the shared files and the machine's role. Getenv comes
// first for AWS_REGION, AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
// No region is an error. Calls name Blox/<version> as their user agent.
func Load(ctx context.Context, getenv func(string) string) (aws.Config, error) {
	options := []func(*config.LoadOptions) error{
		config.WithRegion(getenv("AWS_REGION")),
		config.WithHTTPClient(httpClient()),
		config.WithAPIOptions([]func(*smithy.Stack) error{middleware.AddUserAgentKeyValue("Blox", version.Version)}),
	}
	if endpoint := getenv("AWS_ENDPOINT_URL"); endpoint != "" {
		options = append(options, config.WithBaseEndpoint(endpoint))
	}
	if id, secret := getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY"); id != "" && secret != "" {
		options = append(options, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(id, secret, getenv("AWS_SESSION_TOKEN"))))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return aws.Config{}, errors.New("no AWS region: set AWS_REGION, or AWS_PROFILE to a profile that has one")
	}
	cfg.HTTPClient = BufferBodies(cfg.HTTPClient)
	return cfg, nil
}

func httpClient() *awshttp.BuildableClient { // which the SDK gives the certificates of AWS_CA_BUNDLE
	return awshttp.NewBuildableClient().WithTimeout(callTimeout).
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = connectTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = connectTimeout
			t.ResponseHeaderTimeout = headerTimeout
		})
}

// ECS is a client of ECS at the URL in v0.3's ECS_ENDPOINT, where that is set, and else where cfg says. Without a
// scheme the URL is https, as in v0.3.
func ECS(cfg aws.Config, getenv func(string) string) (*ecs.Client, error) {
	given := getenv("ECS_ENDPOINT")
	if given == "" {
		return ecs.NewFromConfig(cfg), nil
	}
	endpoint := given
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("ECS_ENDPOINT: %q is not a URL such as https://ecs.eu-west-1.amazonaws.com", redact.URL(given))
	}
	return ecs.NewFromConfig(cfg, func(o *ecs.Options) { o.BaseEndpoint = &endpoint }), nil
}

// NoRetry is the option of a call that must go out once at most: client.StartTask(ctx, input, awsconfig.NoRetry).
func NoRetry(o *ecs.Options) { o.Retryer = aws.NopRetryer{} }

// SQS is a client of SQS where cfg says.
func SQS(cfg aws.Config) *sqs.Client { return sqs.NewFromConfig(cfg) }

// Kinesis is a client of Kinesis where cfg says.
func Kinesis(cfg aws.Config) *kinesis.Client { return kinesis.NewFromConfig(cfg) }
