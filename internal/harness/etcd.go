package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

const etcdRole = "etcd"

// EtcdConfig describes an etcd cluster.
type EtcdConfig struct {
	// Dir holds the members' files and logs.
	Dir     string
	Members int
	// Path is the members' program, which has to call RunRole; the running executable by default.
	Path string
	// Program is the path of an etcd of another version, which runs in place of Path.
	Program string
	// Quota limits each member's database, in bytes; 0 selects etcd's default of 2 GiB.
	Quota int64
	// Fsync makes writes survive a crash of the machine. Without it they survive only the crash of a process.
	Fsync bool
	// PeerAddress returns the address under which the other members reach the member at peer, such as a proxy's.
	// If it is nil, they connect to peer itself.
	PeerAddress func(member int, peer string) (string, error)
	// OnExit is called when a member ends although nothing in this program ended it. It may be nil.
	OnExit func(name, state string)
	// ClientCert and ClientKey are PEM files of the certificate for clients. Without them, clients connect without TLS.
	ClientCert, ClientKey string
}

// Etcd is a cluster of etcd members, each a process of its own.
type Etcd struct {
	Members   []*Process // etcd-0, etcd-1, …
	Endpoints []string   // host:port for clients, by member
}

// member is what a member process gets as its argument, in JSON.
type member struct {
	Name, Dir               string
	Client, Peer            string // host:port to listen on
	AdvertisedPeer          string // host:port
	InitialCluster          string // name=URL of all members, separated by commas
	Quota                   int64  // bytes
	Fsync                   bool
	ClientCert, ClientKey   string
	HeartbeatMs, ElectionMs uint
}

// NewEtcd allocates addresses and returns a cluster whose members do not run yet.
func NewEtcd(cfg EtcdConfig) (*Etcd, error) {
	members := make([]member, cfg.Members)
	var cluster []string
	for n := range members {
		m, err := newMember(cfg, n)
		if err != nil {
			return nil, fmt.Errorf("etcd member %d: %w", n, err)
		}
		members[n] = m
		cluster = append(cluster, fmt.Sprintf("%s=http://%s", m.Name, m.AdvertisedPeer))
	}
	e := &Etcd{}
	for _, m := range members {
		m.InitialCluster = strings.Join(cluster, ",")
		arg, err := json.Marshal(m)
		if err != nil {
			return nil, err
		}
		process := Config{
			Name: m.Name, Path: cfg.Path, Role: etcdRole, Args: []string{string(arg)}, Dir: cfg.Dir, OnExit: cfg.OnExit,
		}
		if cfg.Program != "" {
			process.Path, process.Role, process.Args = cfg.Program, "", m.flags()
		}
		e.Members = append(e.Members, NewProcess(process))
		e.Endpoints = append(e.Endpoints, m.Client)
	}
	return e, nil
}

func newMember(cfg EtcdConfig, n int) (m member, err error) {
	m = member{Name: fmt.Sprintf("etcd-%d", n), Quota: cfg.Quota, Fsync: cfg.Fsync, HeartbeatMs: 50, ElectionMs: 500}
	if cfg.Members == 1 { // no other member can win, so nothing is gained by waiting
		m.HeartbeatMs, m.ElectionMs = 10, 100
	}
	m.Dir, m.ClientCert, m.ClientKey = filepath.Join(cfg.Dir, m.Name), cfg.ClientCert, cfg.ClientKey
	if m.Client, err = FreeAddress(); err != nil {
		return m, err
	}
	if m.Peer, err = FreeAddress(); err != nil {
		return m, err
	}
	m.AdvertisedPeer = m.Peer
	if cfg.PeerAddress != nil {
		m.AdvertisedPeer, err = cfg.PeerAddress(n, m.Peer)
	}
	return m, err
}

// Start starts all members and returns when each answers that it is healthy. It cannot be used with TLS.
func (e *Etcd) Start(ctx context.Context, timeout time.Duration) error {
	for _, m := range e.Members {
		if err := m.Start(); err != nil {
			return err
		}
	}
	for n, m := range e.Members {
		if err := m.AwaitReady(ctx, "http://"+e.Endpoints[n]+"/health", timeout); err != nil {
			return err
		}
	}
	return nil
}

// Kill kills all members.
func (e *Etcd) Kill() {
	for _, m := range e.Members {
		m.Kill()
	}
}

// runEtcdMember runs one member until ctx ends.
func runEtcdMember(ctx context.Context, args []string) error {
	var m member
	if len(args) != 1 {
		return errors.New("etcd member: want one argument")
	}
	if err := json.Unmarshal([]byte(args[0]), &m); err != nil {
		return fmt.Errorf("etcd member: %w", err)
	}
	server, err := embed.StartEtcd(m.config())
	if err != nil {
		return fmt.Errorf("etcd member %s: %w", m.Name, err)
	}
	defer server.Close()
	select {
	case <-ctx.Done():
		return nil
	case err := <-server.Err():
		return fmt.Errorf("etcd member %s failed: %w", m.Name, err)
	case <-server.Server.StopNotify():
		return fmt.Errorf("etcd member %s stopped", m.Name)
	}
}

// snapshotCount is the number of transactions after which a member takes a snapshot. A member that starts again replays
// those since its latest snapshot. By default etcd 3.4 takes one after 100,000, which can be gigabytes.
const snapshotCount = 1000

// flags returns the flags of an etcd program. It syncs its files, because versions before 3.5 have no flag against it.
// So its elections keep etcd's timeouts.
func (m member) flags() []string {
	flags := []string{
		"--name", m.Name, "--data-dir", m.Dir, "--quota-backend-bytes", strconv.FormatInt(m.Quota, 10),
		"--listen-client-urls", m.clientURL().String(), "--advertise-client-urls", m.clientURL().String(),
		"--listen-peer-urls", "http://" + m.Peer, "--initial-advertise-peer-urls", "http://" + m.AdvertisedPeer,
		"--initial-cluster", m.InitialCluster, "--log-level", "warn", "--snapshot-count", strconv.Itoa(snapshotCount),
	}
	if m.ClientCert != "" {
		flags = append(flags, "--cert-file", m.ClientCert, "--key-file", m.ClientKey)
	}
	return flags
}

func (m member) clientURL() *url.URL {
	if m.ClientCert == "" {
		return &url.URL{Scheme: "http", Host: m.Client}
	}
	return &url.URL{Scheme: "https", Host: m.Client}
}

func (m member) config() *embed.Config {
	at := func(address string) []url.URL { return []url.URL{{Scheme: "http", Host: address}} }
	c := embed.NewConfig()
	c.Name, c.Dir = m.Name, m.Dir
	c.ListenClientUrls = []url.URL{*m.clientURL()}
	c.AdvertiseClientUrls = c.ListenClientUrls
	c.ClientTLSInfo.CertFile, c.ClientTLSInfo.KeyFile = m.ClientCert, m.ClientKey
	c.ListenPeerUrls, c.AdvertisePeerUrls = at(m.Peer), at(m.AdvertisedPeer)
	c.InitialCluster = m.InitialCluster
	c.TickMs, c.ElectionMs = m.HeartbeatMs, m.ElectionMs
	c.QuotaBackendBytes = m.Quota
	c.UnsafeNoFsync = !m.Fsync
	c.LogLevel, c.LogOutputs = "warn", []string{"stderr"}
	return c
}
