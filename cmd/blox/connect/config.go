// Package connect provides clients of Blox's services over http or https, with AWS signatures on request, and explains
// their errors.
package connect

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/blox/blox/internal/redact"
	"github.com/blox/blox/internal/tlsconfig"
)

// Default endpoints, as blox-local serves them.
const (
	DefaultEndpoint    = "http://127.0.0.1:2000"
	DefaultCSSEndpoint = "http://127.0.0.1:3000"
	DefaultSimEndpoint = "http://127.0.0.1:4566"
)

// Config configures the clients. An endpoint is host:port, or a URL whose path is a prefix of the API's.
type Config struct {
	Endpoint string // --endpoint, BLOX_ENDPOINT: daemon-scheduler
	// CSSEndpoint is the URL of cluster-state-service: --css-endpoint, BLOX_CSS_ENDPOINT. If it is empty, it is
	// DefaultCSSEndpoint, or with SigV4 Endpoint.
	CSSEndpoint string
	SimEndpoint string          // --sim-endpoint, BLOX_SIM_ENDPOINT: the simulator of ECS
	TLS         tlsconfig.Files // --ca, --cert, --key, BLOX_CA, …: for https
	SigV4       bool            // --sigv4, BLOX_SIGV4: sign requests, as API Gateway requires
	TokenFile   string          // --token-file, BLOX_TOKEN_FILE: file with a bearer token
	Token       string          // BLOX_TOKEN: a bearer token
	Region      string          // --region: of the signature; empty: of the AWS configuration
	Timeout     time.Duration   // --timeout: of one request; of a stream until its first byte
}

// Validate returns the first problem of c, or nil.
func (c Config) Validate() error {
	for _, e := range []struct{ flag, endpoint string }{
		{"--endpoint", c.Endpoint}, {"--css-endpoint", c.cssEndpoint()}, {"--sim-endpoint", c.SimEndpoint},
	} {
		if _, err := parseEndpoint(e.endpoint); err != nil {
			return fmt.Errorf("%s: %w", e.flag, err)
		}
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		return fmt.Errorf("--cert and --key must be set together")
	}
	if c.Token != "" && c.TokenFile != "" {
		return fmt.Errorf("the context has a token and a tokenFile; they are mutually exclusive")
	}
	if c.SigV4 && c.Token+c.TokenFile != "" {
		return fmt.Errorf("--sigv4 and a token are mutually exclusive: both use the header Authorization")
	}
	if c.Timeout <= 0 {
		return fmt.Errorf("--timeout %s: must be above 0, such as 30s", c.Timeout)
	}
	return nil
}

func (c Config) cssEndpoint() string {
	switch {
	case c.CSSEndpoint != "":
		return c.CSSEndpoint
	case c.SigV4:
		return c.Endpoint
	}
	return DefaultCSSEndpoint
}

// parseEndpoint parses a URL or host:port. The result's path has no trailing slash.
func parseEndpoint(endpoint string) (*url.URL, error) {
	text, bare := endpoint, !strings.Contains(endpoint, "://")
	if bare {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || bare && u.Port() == "" || u.Scheme != "http" && u.Scheme != "https" ||
		u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("%q: must be a URL, such as %s, or host:port", redact.URL(endpoint), DefaultEndpoint)
	}
	u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/v1") // the clients add it
	u.RawPath = ""
	return u, nil
}
