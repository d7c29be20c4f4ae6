package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/blox/blox/internal/tlsconfig"
)

// transportCredentials make each connection with the certificates of its time.
type transportCredentials struct{ certificates *tlsconfig.Certificates }

func (c transportCredentials) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return credentials.NewTLS(c.certificates.Client()).ClientHandshake(ctx, authority, conn)
}

func (c transportCredentials) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, status.Error(codes.Unimplemented, "these credentials are a client's")
}

func (c transportCredentials) Info() credentials.ProtocolInfo {
	return credentials.NewTLS(&tls.Config{}).Info()
}
func (c transportCredentials) Clone() credentials.TransportCredentials { return c }
func (c transportCredentials) OverrideServerName(string) error         { return nil } // deprecated, and asked by nobody

// authenticated is clientv3.New for a client that is c.User. clientv3 gets a token when a call is told that it needs one,
// and again when that has expired; what it lacks is added by signIn.
func (c Config) authenticated(options clientv3.Config) (*clientv3.Client, error) {
	s := &signIn{cfg: c, turn: make(chan struct{}, 1)}
	options.Username, options.Password = c.User, "signIn knows it"
	options.DialOptions = append(options.DialOptions, grpc.WithChainUnaryInterceptor(s.intercept))
	client, err := clientv3.New(options)
	if err != nil {
		return nil, err
	}
	client.Watcher = &watcher{Watcher: client.Watcher}
	s.made.Store(true)
	return client, nil
}

// signIn has the password, and etcd's answer to it.
type signIn struct {
	cfg  Config
	made atomic.Bool // the client is
	done atomic.Bool // once at least

	turn   chan struct{} // held by who asks, and for what follows
	answer string        // the latest token
	at     time.Time
}

// tokenShared is how long a token is given to all who ask for one: when etcd knows the old one no more, dozens of calls do
// so at once, and checking a password takes etcd a tenth of a second on purpose.
const tokenShared = 500 * time.Millisecond

func (s *signIn) intercept(ctx context.Context, method string, request, answer any, conn *grpc.ClientConn, next grpc.UnaryInvoker, options ...grpc.CallOption) error {
	ask, is := request.(*pb.AuthenticateRequest)
	switch {
	case !is && s.done.Load():
		return next(ctx, method, request, answer, conn, options...)
	case !is: // etcd would take who has a certificate but no token for a user with the certificate's name
		return rpctypes.ErrGRPCUserEmpty
	case !s.made.Load(): // clientv3.New would fail while etcd is away
		return rpctypes.ErrGRPCAuthNotEnabled
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
	told := answer.(*pb.AuthenticateResponse)
	if time.Since(s.at) < tokenShared {
		told.Token = s.answer
		return nil
	}
	password, err := s.cfg.password()
	if err != nil {
		return status.Error(codes.FailedPrecondition, err.Error())
	}
	err = next(ctx, method, &pb.AuthenticateRequest{Name: ask.Name, Password: password}, told, conn, options...)
	switch {
	case err == nil:
		s.answer, s.at = told.Token, time.Now()
		s.done.Store(true)
	case errors.Is(rpctypes.Error(err), rpctypes.ErrAuthNotEnabled):
		s.done.Store(true)
	}
	return err
}

// watcher has a gRPC stream for each watch. clientv3 alone puts all watches on one, whose token is that of its first: once
// that has expired, etcd refuses every later watch for as long as any other holds the stream open.
type watcher struct {
	clientv3.Watcher
	watches atomic.Uint64
}

func (w *watcher) Watch(ctx context.Context, key string, options ...clientv3.OpOption) clientv3.WatchChan {
	if md, _ := metadata.FromOutgoingContext(ctx); len(md[streamKey]) == 0 {
		ctx = DedicatedStream(ctx, strconv.FormatUint(w.watches.Add(1), 10))
	}
	return w.Watcher.Watch(ctx, key, options...)
}

// streamKey is metadata, by which clientv3 tells streams apart. Etcd does not look at it.
const streamKey = "blox-stream"

// DedicatedStream is for a watch, and the requests for its progress, that share their gRPC stream with nobody: on a shared one,
// others that lag keep progress back.
func DedicatedStream(ctx context.Context, name string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, streamKey, name)
}
