// Package etcd creates clients of the etcd that stores Blox's state, and elects leaders.
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
	keepAlive        = 10 * time.Second // between pings while calls or watches are open; etcd rejects less than 5 s
	keepAliveTimeout = 3 * time.Second
	connectTimeout   = 3 * time.Second
	reconnectWithin  = 2 * time.Second // gRPC alone would wait up to two minutes after etcd has recovered
)

// New returns a client of the etcd in cfg. It does not connect: the first call fails if etcd is unavailable, so every
// call needs a deadline. The client logs nothing, as every failure reaches the caller. Log receives messages about
// replaced certificates; it may be nil without TLS. The monitors see every response. The caller closes the client.
func New(cfg Config, log logrus.FieldLogger, monitors ...*Monitor) (*clientv3.Client, error) {
	if err := ValidateEndpoints(cfg.Endpoints); err != nil {
		return nil, err
	}
	reconnect := backoff.DefaultConfig
	reconnect.BaseDelay, reconnect.MaxDelay = 100*time.Millisecond, reconnectWithin
	options := clientv3.Config{
		Endpoints:            cfg.Endpoints,
		DialTimeout:          connectTimeout,
		DialKeepAliveTime:    keepAlive,
		DialKeepAliveTimeout: keepAliveTimeout,
		Logger:               zap.NewNop(),
		DialOptions: []grpc.DialOption{
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: connectTimeout}),
		},
	}
	for _, m := range monitors {
		options.DialOptions = append(options.DialOptions, m.dialOptions()...)
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
		return errors.New("no etcd endpoint")
	}
	var problems []error
	schemes := map[bool]bool{}
	for _, endpoint := range endpoints {
		tls, err := parseEndpoint(endpoint)
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

// parseEndpoint validates an endpoint and reports whether it uses TLS.
func parseEndpoint(endpoint string) (tls bool, err error) {
	scheme, address, found := strings.Cut(endpoint, "://")
	if !found {
		scheme, address = "http", endpoint
	}
	if scheme != "http" && scheme != "https" {
		return false, fmt.Errorf("etcd endpoint %q: the scheme must be http or https", redact.URL(endpoint))
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false, fmt.Errorf("etcd endpoint %q: must be host:port", redact.URL(endpoint))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return false, fmt.Errorf("etcd endpoint %q: the port must be 1 to 65535", redact.URL(endpoint))
	}
	if u, err := url.Parse("http://" + address); err != nil || host == "" || u.Hostname() != host {
		return false, fmt.Errorf("etcd endpoint %q: %q is not a host", redact.URL(endpoint), redact.URL(host))
	}
	return scheme == "https", nil
}
