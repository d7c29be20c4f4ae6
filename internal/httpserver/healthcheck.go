package httpserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/internal/tlsconfig"
)

// HealthcheckUsage is the help of --healthcheck.
const HealthcheckUsage = "check whether the service at --bind on this machine is ready, and exit with 0 or 1. " +
	"Images use\n" +
	"it for their health checks, as they have no shell. It needs --tls-cert, --tls-key and --client-ca\n" +
	"if the service has them, and no other flag"

const healthcheckTimeout = 4 * time.Second // below the usual timeouts of health checks

// WithTLSFiles serves HTTPS with files that may be replaced at any time, or plain HTTP if there are none.
// ClientCertOptional admits clients without a certificate in spite of --client-ca.
func WithTLSFiles(files tlsconfig.Files, clientCertOptional bool, log logrus.FieldLogger) (Option, error) {
	if files.Cert == "" {
		return func(*settings) {}, nil
	}
	certificates, err := tlsconfig.Load(files, log)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert, --tls-key, --client-ca: %w", err)
	}
	if clientCertOptional {
		return WithTLS(certificates.OptionalServer()), nil
	}
	return WithTLS(certificates.Server()), nil
}

// ReadyPath is where a service reports whether it is ready.
const ReadyPath = "/v1/ready"

// Healthcheck requests path from the service that serves at bind with files. It returns nil if the response is 200.
func Healthcheck(ctx context.Context, bind, path string, files tlsconfig.Files) error {
	address, err := localAddress(bind)
	if err != nil {
		return err
	}
	scheme, transport := "http", &http.Transport{DisableKeepAlives: true} // no proxy
	if files.Cert != "" {
		scheme = "https"
		if transport.TLSClientConfig, err = tlsconfig.SelfCheck(files); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+address+path, nil)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 4096)) // as much as arrives
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: status %d: %s", response.StatusCode, strings.TrimSpace(string(body)))
	}
	return nil
}

// localAddress is the address at which this machine reaches a listener bound to bind.
func localAddress(bind string) (string, error) {
	host, port, err := net.SplitHostPort(bind)
	if err != nil {
		return "", err
	}
	if port == "0" {
		return "", errors.New("--bind: port 0 does not name the service's port")
	}
	switch ip := net.ParseIP(host); {
	case host == "" || ip != nil && ip.IsUnspecified() && ip.To4() != nil:
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port), nil
}
