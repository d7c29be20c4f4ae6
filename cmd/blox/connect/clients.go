package connect

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	httptransport "github.com/go-openapi/runtime/client"

	goruntime "github.com/go-openapi/runtime"
	"github.com/sirupsen/logrus"

	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/tlsconfig"
	"github.com/blox/blox/internal/tokenfile"
	css "github.com/blox/blox/swagger/cluster-state-service/v1/client/operations"
	ds "github.com/blox/blox/swagger/daemon-scheduler/v1/client/operations"
)

const schedulerName = "daemon-scheduler"

// Clients are the clients of both services and of the simulator. Every error of theirs is, or wraps, a *CallError.
type Clients struct {
	Scheduler ds.ClientService
	State     css.ClientService
	Simulator *Simulator

	http *http.Client
}

// Open creates the clients without connecting. With SigV4, it loads AWS credentials from the SDK's default chain.
func Open(ctx context.Context, cfg Config, getenv func(string) string) (*Clients, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	base, err := newTransport(cfg)
	if err != nil {
		return nil, err
	}
	token, err := openToken(cfg)
	if err != nil {
		return nil, err
	}
	plain := &http.Client{Transport: base}
	signed := &http.Client{Transport: base}
	if cfg.SigV4 {
		aws, err := loadAWS(ctx, cfg.Region, getenv)
		if err != nil {
			return nil, fmt.Errorf("--sigv4: %w", err)
		}
		signed.Transport = &signer{
			next: base, region: aws.Region, credentials: aws.Credentials, sign: v4.NewSigner(), now: time.Now,
		}
	}
	scheduler := service{schedulerName, "--endpoint", "BLOX_ENDPOINT", cfg.Endpoint, cfg, token}
	state := service{"cluster-state-service", "--css-endpoint", "BLOX_CSS_ENDPOINT", cfg.cssEndpoint(), cfg, token}
	sim := service{"the simulator", "--sim-endpoint", "BLOX_SIM_ENDPOINT", cfg.SimEndpoint, cfg, nil}
	return &Clients{
		Scheduler: ds.New(scheduler.transport(signed), nil),
		State:     css.New(state.transport(signed), nil),
		Simulator: &Simulator{service: sim, client: plain},
		http:      plain,
	}, nil
}

// Close closes idle connections.
func (c *Clients) Close() { c.http.CloseIdleConnections() }

// openToken returns the token of requests; nil for none.
func openToken(cfg Config) (*tokenfile.File, error) {
	switch {
	case cfg.TokenFile != "":
		silent := logrus.New() // a file that cannot be read again shows as a rejected request
		silent.SetOutput(io.Discard)
		token, err := tokenfile.Open(cfg.TokenFile, silent)
		if err != nil {
			return nil, fmt.Errorf("--token-file: %w", err)
		}
		return token, nil
	case cfg.Token != "":
		token, err := tokenfile.Fixed(cfg.Token)
		if err != nil {
			return nil, fmt.Errorf("BLOX_TOKEN: %w", err)
		}
		return token, nil
	}
	return nil, nil
}

func newTransport(cfg Config) (*http.Transport, error) {
	silent := logrus.New() // the files are read once, so there is no reload to log
	silent.SetOutput(io.Discard)
	certificates, err := tlsconfig.Load(cfg.TLS, silent)
	if err != nil {
		return nil, fmt.Errorf("--ca, --cert, --key: %w", err)
	}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: cfg.Timeout}).DialContext,
		TLSClientConfig:       certificates.Client(),
		TLSHandshakeTimeout:   cfg.Timeout,
		ResponseHeaderTimeout: cfg.Timeout,
		ForceAttemptHTTP2:     true,
	}, nil
}

func loadAWS(ctx context.Context, region string, getenv func(string) string) (aws.Config, error) {
	return awsconfig.Load(ctx, func(name string) string {
		if name == "AWS_REGION" && region != "" {
			return region
		}
		return getenv(name)
	})
}

// service is a service with the flag and the variable that set its endpoint.
type service struct {
	name, flag, variable, endpoint string
	cfg                            Config
	token                          *tokenfile.File // nil for none
}

func (s service) transport(client *http.Client) goruntime.ContextualTransport {
	u, _ := parseEndpoint(s.endpoint) // Validate has accepted it
	inner := httptransport.NewWithClient(u.Host, u.Path+"/v1", []string{u.Scheme}, client)
	inner.Consumers["*/*"] = goruntime.ByteStreamConsumer() // proxies may answer with any content type
	return &transport{service: s, inner: inner}
}
