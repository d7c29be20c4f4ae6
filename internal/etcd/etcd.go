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

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

const (
	keepAlive        = 10 * time.Second // between two pings while calls or watches are open; etcd refuses less than 5 s
	keepAliveTimeout = 3 * time.Second
	connectTimeout   = 3 * time.Second
	reconnectWithin  = 2 * time.Second // gRPC alone would wait up to two minutes for an etcd that is back
)

// New returns a client of the etcd at endpoints, each host:port, http://host:port or https://host:port, all of one
// scheme. It does not connect: an etcd that is away is met by the first call, so every call needs a deadline.
// The client itself logs nothing, as whatever goes wrong reaches the caller. Its owner closes it.
func New(endpoints []string) (*clientv3.Client, error) {
	if err := Validate(endpoints); err != nil {
		return nil, err
	}
	wait := backoff.DefaultConfig
	wait.BaseDelay, wait.MaxDelay = 100*time.Millisecond, reconnectWithin
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            endpoints,
		DialTimeout:          connectTimeout,
		DialKeepAliveTime:    keepAlive,
		DialKeepAliveTimeout: keepAliveTimeout,
		Logger:               zap.NewNop(),
		DialOptions: []grpc.DialOption{
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: wait, MinConnectTimeout: connectTimeout}),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("etcd %s: %w", strings.Join(endpoints, ","), err)
	}
	return client, nil
}

// Validate tells what New would refuse about endpoints, all of it at once, or nil.
func Validate(endpoints []string) error {
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
		return false, fmt.Errorf("etcd endpoint %q: the scheme is neither http nor https", endpoint)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false, fmt.Errorf("etcd endpoint %q: not host:port", endpoint)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return false, fmt.Errorf("etcd endpoint %q: the port is not 1 to 65535", endpoint)
	}
	if u, err := url.Parse("http://" + address); err != nil || host == "" || u.Hostname() != host {
		return false, fmt.Errorf("etcd endpoint %q: %q is not a host", endpoint, host)
	}
	return scheme == "https", nil
}
