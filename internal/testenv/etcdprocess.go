package testenv

import (
	"context"
	"path/filepath"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/etcd/embedded"
	"github.com/blox/blox/internal/harness"
	"github.com/blox/blox/internal/testenv/short"
)

// DebianEtcd starts the etcd that is installed on the machine; it ends with the test. Debian 12 ships 3.4.23, which
// sends progress notifications before events that they cover. If the machine has no etcd, the test is skipped; with
// CI=true it fails. With -short the test is skipped as well.
func DebianEtcd(tb testing.TB) *Server {
	tb.Helper()
	short.Skip(tb, "starts an etcd")
	s := &Server{
		tb: tb, dir: tb.TempDir(), program: Installed(tb, "etcd"), options: embedded.Options{Address: FreeAddress(tb)},
	}
	s.Start()
	tb.Cleanup(s.Stop)
	return s
}

// etcdProcess is a running etcd of one member.
type etcdProcess struct {
	*harness.Process
	address string
}

// startEtcdProcess returns when the etcd is healthy.
func startEtcdProcess(ctx context.Context, path, dir, address string) (*etcdProcess, error) {
	peers, err := harness.FreeAddress()
	if err != nil {
		return nil, err
	}
	clientURL, peerURL := "http://"+address, "http://"+peers
	p := harness.NewProcess(harness.Config{Name: "etcd", Path: path, Dir: dir, Args: []string{
		"--data-dir", filepath.Join(dir, "data"), "--listen-client-urls", clientURL, "--advertise-client-urls", clientURL,
		"--listen-peer-urls", peerURL, "--initial-advertise-peer-urls", peerURL, "--initial-cluster", "default=" + peerURL,
		"--heartbeat-interval", "10", "--election-timeout", "100",
	}})
	if err := p.Start(); err != nil {
		return nil, err
	}
	if err := p.AwaitReady(ctx, clientURL+"/health", timeout); err != nil {
		p.Kill()
		return nil, err
	}
	return &etcdProcess{p, address}, nil
}

func (p *etcdProcess) Address() string { return p.address }

func (p *etcdProcess) Client() (*clientv3.Client, error) {
	return etcd.New(etcd.Config{Endpoints: []string{p.address}}, nil)
}

func (p *etcdProcess) Close() { p.Kill() }
