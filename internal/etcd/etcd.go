// Package etcd makes clients of the etcd that Blox keeps its state in.
package etcd

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/blox/blox/internal/redact"
	"github.com/blox/blox/internal/tlsconfig"
)

const (
	keepAlive        = 10 * time.Second // between two pings while calls or watches are open; etcd refuses less than 5 s
	keepAliveTimeout = 3 * time.Second
	connectTimeout   = 3 * time.Second
	reconnectWithin  = 2 * time.Second // gRPC alone would wait up to two minutes for an etcd that is back
)

// New returns a client of the etcd that cfg names. It does not connect: an etcd that is away is met by the first call, so
// every call needs a deadline. The client itself logs nothing, as whatever goes wrong reaches the caller; log is told of
// certificates that are replaced, and may be nil where there are none. The client's owner closes it.
func New(cfg Config, log logrus.FieldLogger) (*clientv3.Client, error) {
	if err := ValidateEndpoints(cfg.Endpoints); err != nil {
		return nil, err
	}
	wait := backoff.DefaultConfig
	wait.BaseDelay, wait.MaxDelay = 100*time.Millisecond, reconnectWithin
	options := clientv3.Config{
		Endpoints:            cfg.Endpoints,
		DialTimeout:          connectTimeout,
		DialKeepAliveTime:    keepAlive,
		DialKeepAliveTimeout: keepAliveTimeout,
		Logger:               zap.NewNop(),
		DialOptions: []grpc.DialOption{
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: wait, MinConnectTimeout: connectTimeout}),
		},
	}
	if cfg.https() {
		certificates, err := tlsconfig.Load(cfg.TLS, log)
		if err != nil {
			return nil, fmt.Errorf("etcd: %w", err)
		}
		options.DialOptions = append(options.DialOptions, grpc.WithTransportCredentials(transportCredentials{certificates}))
	}
	connect := clientv3.New
	if cfg.User != "" {
		connect = cfg.authenticated
	}
	client, err := connect(options)
	if err != nil {
		return nil, fmt.Errorf("etcd %s: %w", strings.Join(cfg.Endpoints, ","), err)
	}
	return client, nil
}

// ValidateEndpoints reports every endpoint that New would reject.
func ValidateEndpoints(endpoints []string) error {
	if len(endpoints) == 0 {
		return errors.New("no etcd endpoint is given")
	}
	var problems []error
	schemes := map[bool]bool{}
	for _, endpoint := range endpoints {
		tls, err := check(endpoint)
		problems = append(problems, err)
		schemes[tls] = true
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	if len(schemes) > 1 {
		return fmt.Errorf("etcd endpoints %s: some are https and some are not", strings.Join(endpoints, ","))
	}
	return nil
}

// check tells whether endpoint is one of New's forms, and whether it asks for TLS.
func check(endpoint string) (tls bool, err error) {
	scheme, address, found := strings.Cut(endpoint, "://")
	if !found {
		scheme, address = "http", endpoint
	}
	if scheme != "http" && scheme != "https" {
		return false, fmt.Errorf("etcd endpoint %q: the scheme is neither http nor https", redact.URL(endpoint))
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false, fmt.Errorf("etcd endpoint %q: not host:port", redact.URL(endpoint))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return false, fmt.Errorf("etcd endpoint %q: the port is not 1 to 65535", redact.URL(endpoint))
	}
	if u, err := url.Parse("http://" + address); err != nil || host == "" || u.Hostname() != host {
		return false, fmt.Errorf("etcd endpoint %q: %q is not a host", redact.URL(endpoint), redact.URL(host))
	}
	return scheme == "https", nil
}
