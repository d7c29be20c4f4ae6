// Package awsconfig creates the AWS clients that Blox uses. Every call has a timeout.
package awsconfig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	smithy "github.com/aws/smithy-go/middleware"

	"github.com/blox/blox/internal/redact"
	"github.com/blox/blox/internal/version"
)

// Timeouts of one attempt of a call. A long poll of SQS takes 20 s.
const (
	connectTimeout = 5 * time.Second
	headerTimeout  = 30 * time.Second
	callTimeout    = 40 * time.Second
)

// maxIdleConnections is how many connections to one service stay open between calls: those of as many concurrent calls
// as a service of Blox makes. The SDK's default is 10; each further call would open a connection of its own.
const maxIdleConnections = 100

// Load finds the region, credentials, endpoints and retry settings (three attempts unless AWS_MAX_ATTEMPTS is set) as
// the AWS SDK does: in the environment, the shared files and the machine's role. Getenv takes precedence for
// AWS_REGION, AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. It is an error if no
// region is set. Clients send Blox/<version> in their user agent. They find credentials anew when a shared file changes
// or when AWS rejects the current ones.
func Load(ctx context.Context, getenv func(string) string) (aws.Config, error) {
	options := []func(*config.LoadOptions) error{
		config.WithRegion(getenv("AWS_REGION")),
		config.WithHTTPClient(httpClient()),
		config.WithLogger(logging.Nop{}), // the SDK would write lines of its own to stderr, beside the log
		config.WithAPIOptions([]func(*smithy.Stack) error{middleware.AddUserAgentKeyValue("Blox", version.Version)}),
	}
	// An option would also replace the endpoints of AWS_ENDPOINT_URL_STS and the like, so the SDK reads its own variable.
	if endpoint := getenv("AWS_ENDPOINT_URL"); endpoint != "" && endpoint != os.Getenv("AWS_ENDPOINT_URL") {
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
	if cfg.Credentials != nil {
		credentials := newReloading(explained{cfg.Credentials}, sharedFiles(),
			func(ctx context.Context) (aws.CredentialsProvider, error) {
				again, err := config.LoadDefaultConfig(ctx, options...)
				return explained{again.Credentials}, err
			})
		cfg.Credentials = credentials
		cfg.APIOptions = append(cfg.APIOptions, credentials.watch)
	}
	return cfg, nil
}

func httpClient() *awshttp.BuildableClient { // the SDK adds the certificates of AWS_CA_BUNDLE
	return awshttp.NewBuildableClient().WithTimeout(callTimeout).
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = connectTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = connectTimeout
			t.ResponseHeaderTimeout = headerTimeout
			t.MaxIdleConnsPerHost = maxIdleConnections
		})
}

// ECS returns a client of ECS. If v0.3's ECS_ENDPOINT is set, it takes precedence over cfg's endpoint. A value without
// a scheme is HTTPS, as in v0.3.
func ECS(cfg aws.Config, getenv func(string) string) (*ecs.Client, error) {
	configured := getenv("ECS_ENDPOINT")
	if configured == "" {
		return ecs.NewFromConfig(cfg), nil
	}
	endpoint := configured
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf(
			"ECS_ENDPOINT: %q is not a URL such as https://ecs.eu-west-1.amazonaws.com", redact.URL(configured),
		)
	}
	return ecs.NewFromConfig(cfg, func(o *ecs.Options) { o.BaseEndpoint = &endpoint }), nil
}

// NoRetry is the option of a call that must be sent at most once: client.StartTask(ctx, input, awsconfig.NoRetry).
func NoRetry(o *ecs.Options) { o.Retryer = aws.NopRetryer{} }

// SQS returns a client of SQS.
func SQS(cfg aws.Config) *sqs.Client { return sqs.NewFromConfig(cfg) }

// Kinesis returns a client of Kinesis.
func Kinesis(cfg aws.Config) *kinesis.Client { return kinesis.NewFromConfig(cfg) }

// CloudWatch returns a client of CloudWatch.
func CloudWatch(cfg aws.Config) *cloudwatch.Client { return cloudwatch.NewFromConfig(cfg) }

// EventBridge returns a client of EventBridge whose calls are sent once: its callers retry single entries.
func EventBridge(cfg aws.Config) *eventbridge.Client {
	return eventbridge.NewFromConfig(cfg, func(o *eventbridge.Options) { o.Retryer = aws.NopRetryer{} })
}

// STS returns a client of STS.
func STS(cfg aws.Config) *sts.Client { return sts.NewFromConfig(cfg) }
