package robustness

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/harness"
	"github.com/blox/blox/internal/tlsconfig"
)

// Passwords of etcd's users with --etcd-auth.
const (
	rootPassword = "of root"
	bloxPassword = "of Blox"
)

// etcdAccess describes how clients connect to etcd. The zero value is without TLS and without users.
type etcdAccess struct {
	cert, key string // PEM files of the members' certificate, which is its own authority
}

// newEtcdAccess creates the certificate if the run is authenticated.
func newEtcdAccess(cfg config, dir string) (a etcdAccess, err error) {
	if !cfg.etcdAuth {
		return a, nil
	}
	info, err := transport.SelfCert(zap.NewNop(), dir, []string{"127.0.0.1:0"}, 1) // host:port
	if err != nil {
		return a, fmt.Errorf("create a certificate for etcd: %w", err)
	}
	return etcdAccess{cert: info.CertFile, key: info.KeyFile}, nil
}

// service returns the variables and flags by which a service connects to an endpoint, host:port.
func (a etcdAccess) service(endpoints []string) (env, args []string) {
	for _, endpoint := range endpoints {
		args = append(args, "--etcd-endpoint", a.url(endpoint))
	}
	if a.cert == "" {
		return nil, args
	}
	env = []string{"CSS_ETCD_PASSWORD=" + bloxPassword, "DS_ETCD_PASSWORD=" + bloxPassword}
	return env, append(args, "--etcd-ca", a.cert, "--etcd-user", "blox")
}

func (a etcdAccess) url(endpoint string) string {
	if a.cert == "" {
		return endpoint
	}
	return "https://" + endpoint
}

// connect returns a client with all rights. With --etcd-auth, it creates the users first.
func (a etcdAccess) connect(ctx context.Context, endpoints []string) (*clientv3.Client, error) {
	cfg := etcd.Config{TLS: tlsconfig.Files{CA: a.cert}}
	for _, endpoint := range endpoints {
		cfg.Endpoints = append(cfg.Endpoints, a.url(endpoint))
	}
	if a.cert == "" {
		return etcd.New(cfg, nil)
	}
	client, err := etcd.New(cfg, nil)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if err := createUsers(ctx, client); err != nil {
		return nil, fmt.Errorf("create etcd's users: %w", err)
	}
	cfg.User, cfg.Password = "root", rootPassword
	return etcd.New(cfg, nil)
}

// createUsers creates root, and blox, which may use only the keys below ecs/. Then it enables authentication.
func createUsers(ctx context.Context, client *clientv3.Client) error {
	err := harness.Await(ctx, time.Minute, "etcd", func() error {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		_, err := client.Get(ctx, "health")
		return err
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, do := range []func() error{
		func() error { _, err := client.UserAdd(ctx, "root", rootPassword); return err },
		func() error { _, err := client.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := client.RoleAdd(ctx, "blox"); return err },
		func() error {
			_, err := client.RoleGrantPermission(ctx, "blox", recordPrefix, clientv3.GetPrefixRangeEnd(recordPrefix),
				clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		},
		func() error { _, err := client.UserAdd(ctx, "blox", bloxPassword); return err },
		func() error { _, err := client.UserGrantRole(ctx, "blox", "blox"); return err },
		func() error { _, err := client.AuthEnable(ctx); return err },
	} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}
