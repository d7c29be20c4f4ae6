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

// HealthcheckUsage is what --check says of itself.
const HealthcheckUsage = "ask the service that runs at --bind on this machine whether it is ready, and exit with 0 or 1; with --tls-cert as\n" +
	"that has it. It is for health checks of images, which have no shell, and needs no other flags"

const checkTimeout = 4 * time.Second // below what health checks usually wait

// WithTLSFiles serves https with files that may be replaced, or http when there are none.
func WithTLSFiles(files tlsconfig.Files, log logrus.FieldLogger) (Option, error) {
	if files.Cert == "" {
		return func(*settings) {}, nil
	}
	certificates, err := tlsconfig.Load(files, log)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert, --tls-key, --client-ca: %w", err)
	}
	return WithTLS(certificates.Server()), nil
}

// Healthcheck asks the service that serves at bind with files for path, and returns nil when it answers 200.
func Healthcheck(ctx context.Context, bind, path string, files tlsconfig.Files) error {
	address, err := here(bind)
	if err != nil {
		return err
	}
	scheme, transport := "http", &http.Transport{DisableKeepAlives: true} // and no proxy
	if files.Cert != "" {
		scheme = "https"
		if transport.TLSClientConfig, err = tlsconfig.SelfCheck(files); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+address+path, nil)
	if err != nil {
		return err
	}
	answer, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(answer.Body, 4096)) // what there is of it
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: answer %d: %s", answer.StatusCode, strings.TrimSpace(string(body)))
	}
	return nil
}

// here is where this machine reaches what listens at bind.
func here(bind string) (string, error) {
	host, port, err := net.SplitHostPort(bind)
	if err != nil {
		return "", err
	}
	if port == "0" {
		return "", errors.New("--bind with port 0 says not where the service is")
	}
	switch ip := net.ParseIP(host); {
	case host == "" || ip != nil && ip.IsUnspecified() && ip.To4() != nil:
		host = "127.0.0.1"
	case ip != nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port), nil
}
