// Package embedded runs an etcd of one member inside the process, for tests and for Blox on a laptop.
// It is apart from package etcd so that the services do not carry an etcd server in their binaries.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"golang.org/x/crypto/bcrypt"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/blox/blox/internal/etcd"
	"github.com/blox/blox/internal/tlsconfig"
)

// Options are what may differ from one etcd to the next; the zero value is a durable one on a free port.
type Options struct {
	Address    string        // host:port to listen on; 127.0.0.1:0, a free port, by default
	Quota      int64         // bytes its database may grow to; 0 is etcd's default of 2 GiB
	Compaction time.Duration // how much history is kept; 0 keeps all of it
	// TLS makes it serve https; with a CA, clients must have a certificate of its.
	TLS           tlsconfig.Files
	TokenTTL      time.Duration // of users' tokens, whole seconds; 0 is etcd's default of five minutes
	UnsafeNoFsync bool          // faster, but a crash of the machine may lose writes: for tests
}

// Embedded is a running etcd. Its owner ends it with Close.
type Embedded struct {
	server *embed.Etcd
	tls    tlsconfig.Files
	stop   context.CancelFunc // ends watches and other open streams
	close  sync.Once
}

// Start runs an etcd on the files in dir, which is made when it is missing, and returns once it answers.
// When ctx ends before that, the etcd is stopped and ctx's error returned.
func Start(ctx context.Context, dir string, options Options) (*Embedded, error) {
	stopping, stop := context.WithCancel(context.Background())
	server, err := embed.StartEtcd(config(stopping, dir, options)) //nolint:contextcheck // etcd outlives the start's ctx
	if err != nil {
		stop()
		return nil, fmt.Errorf("embedded etcd in %s: %w", dir, err)
	}
	e := &Embedded{server: server, tls: options.TLS, stop: stop}
	select {
	case <-server.Server.ReadyNotify():
		return e, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-server.Server.StopNotify():
		err = errors.New("stopped while it started")
	}
	e.Close()
	return nil, fmt.Errorf("embedded etcd in %s: %w", dir, err)
}

func config(stopping context.Context, dir string, options Options) *embed.Config {
	free := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	clients := free
	if options.Address != "" {
		clients.Host = options.Address
	}
	c := embed.NewConfig()
	if options.TLS != (tlsconfig.Files{}) {
		clients.Scheme = "https"
		c.ClientTLSInfo = transport.TLSInfo{
			CertFile: options.TLS.Cert, KeyFile: options.TLS.Key,
			TrustedCAFile: options.TLS.CA, ClientCertAuth: options.TLS.CA != "",
		}
	}
	c.BcryptCost = uint(bcrypt.MinCost) // its users' passwords are known to everyone
	if options.TokenTTL > 0 {
		c.AuthTokenTTL = uint(options.TokenTTL / time.Second)
	}
	c.Dir = dir
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{clients}, []url.URL{clients}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{free}, []url.URL{free}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.TickMs, c.ElectionMs = 10, 100 // the only member always wins, so there is nothing to wait for
	c.QuotaBackendBytes = options.Quota
	c.UnsafeNoFsync = options.UnsafeNoFsync
	if options.Compaction > 0 {
		c.AutoCompactionMode, c.AutoCompactionRetention = embed.CompactorModePeriodic, options.Compaction.String()
	}
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	// etcd lets open streams run for seconds when it stops; a watch has no end of its own.
	c.GRPCAdditionalServerOptions = []grpc.ServerOption{grpc.ChainStreamInterceptor(
		func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			ctx, cancel := context.WithCancel(stream.Context())
			defer cancel()
			defer context.AfterFunc(stopping, cancel)()
			if err := handler(srv, &stoppable{stream, ctx}); stopping.Err() == nil {
				return err
			}
			return status.Error(codes.Unavailable, "etcd stops") // clients reconnect, as when a process ends
		})}
	return c
}

// stoppable is a stream that ends when the etcd stops.
type stoppable struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *stoppable) Context() context.Context { return s.ctx }

// Address is the host:port that clients connect to.
func (e *Embedded) Address() string { return e.server.Clients[0].Addr().String() }

// Endpoints is what --etcd-endpoint and etcd.New take.
func (e *Embedded) Endpoints() []string {
	if e.tls != (tlsconfig.Files{}) {
		return []string{"https://" + e.Address()}
	}
	return []string{e.Address()}
}

// Client returns a new client of this etcd. With mutual TLS it presents etcd's own certificate. The caller closes it.
func (e *Embedded) Client() (*clientv3.Client, error) {
	return etcd.New(etcd.Config{Endpoints: e.Endpoints(), TLS: e.tls}, silent)
}

// silent is for what only the owner of the files wants to know.
var silent = &logrus.Logger{
	Out: io.Discard, Formatter: &logrus.TextFormatter{}, Hooks: logrus.LevelHooks{}, Level: logrus.PanicLevel,
}

// Close stops the etcd and returns when everything of it has ended. Its files stay, for another Start.
// A second Close does nothing.
func (e *Embedded) Close() {
	e.close.Do(func() {
		e.stop()
		e.server.Close()
	})
}
