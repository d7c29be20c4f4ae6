// Package connect reaches the services of Blox: over http or https, with requests signed for AWS where that is asked for.
package connect

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/blox/blox/internal/redact"
	"github.com/blox/blox/internal/tlsconfig"
)

// Where the services are when nothing is said: where blox-local has them.
const (
	DefaultEndpoint    = "http://127.0.0.1:2000"
	DefaultCSSEndpoint = "http://127.0.0.1:3000"
	DefaultSimEndpoint = "http://127.0.0.1:4566"
)

// Config is how the services are reached. An endpoint is a URL, whose path comes before that of the API, or host:port.
type Config struct {
	Endpoint    string          // --endpoint, BLOX_ENDPOINT: daemon-scheduler
	CSSEndpoint string          // --css-endpoint, BLOX_CSS_ENDPOINT: cluster-state-service; empty: DefaultCSSEndpoint, or Endpoint with SigV4
	SimEndpoint string          // --sim-endpoint, BLOX_SIM_ENDPOINT: the simulator of ECS
	TLS         tlsconfig.Files // --ca, --cert, --key, BLOX_CA, …: for https
	SigV4       bool            // --sigv4, BLOX_SIGV4: sign requests, as API Gateway wants them
	Region      string          // --region: of the signature; empty: of the AWS configuration
	Timeout     time.Duration   // --timeout: of one request; a stream's is until its first byte
}

// Problem is what is wrong with c, as an error, or nil.
func (c Config) Problem() error {
	for _, e := range []struct{ flag, endpoint string }{
		{"--endpoint", c.Endpoint}, {"--css-endpoint", c.cssEndpoint()}, {"--sim-endpoint", c.SimEndpoint},
	} {
		if _, err := parseEndpoint(e.endpoint); err != nil {
			return fmt.Errorf("%s: %w", e.flag, err)
		}
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		return fmt.Errorf("--cert and --key need each other")
	}
	if c.Timeout <= 0 {
		return fmt.Errorf("--timeout %s: not more than 0, such as 30s", c.Timeout)
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

// parseEndpoint reads a URL or host:port; the path comes without a slash at its end.
func parseEndpoint(endpoint string) (*url.URL, error) {
	text, bare := endpoint, !strings.Contains(endpoint, "://")
	if bare {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || bare && u.Port() == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("%q is neither a URL, such as %s, nor host:port", redact.URL(endpoint), DefaultEndpoint)
	}
	u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/v1") // which is the API's own
	u.RawPath = ""
	return u, nil
}
