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

// transportCredentials use the newest certificates for each new connection.
type transportCredentials struct{ certificates *tlsconfig.Certificates }

func (c transportCredentials) ClientHandshake(
	ctx context.Context, authority string, conn net.Conn,
) (net.Conn, credentials.AuthInfo, error) {
	return credentials.NewTLS(c.certificates.Client()).ClientHandshake(ctx, authority, conn)
}

func (c transportCredentials) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, status.Error(codes.Unimplemented, "these credentials are a client's")
}

func (c transportCredentials) Info() credentials.ProtocolInfo {
	return credentials.NewTLS(&tls.Config{}).Info()
}
func (c transportCredentials) Clone() credentials.TransportCredentials { return c }
func (c transportCredentials) OverrideServerName(string) error         { return nil } // deprecated and unused

// authenticated is clientv3.New for a client with a user and a password. Clientv3 obtains a token when a call needs one
// and again when that has expired. The rest is signIn's work.
func (c Config) authenticated(options clientv3.Config) (*clientv3.Client, error) {
	s := &signIn{cfg: c, lock: make(chan struct{}, 1)}
	options.Username, options.Password = c.User, "added by signIn"
	options.DialOptions = append(options.DialOptions, grpc.WithChainUnaryInterceptor(s.intercept))
	client, err := clientv3.New(options)
	if err != nil {
		return nil, err
	}
	client.Watcher = &watcher{Watcher: client.Watcher}
	s.created.Store(true)
	return client, nil
}

// signIn adds the password to requests for a token, and shares the token.
type signIn struct {
	cfg      Config
	created  atomic.Bool // the client has been created
	signedIn atomic.Bool // a token was obtained, or etcd needs none

	lock  chan struct{} // held while a token is obtained; guards the fields below
	token string        // the newest
	at    time.Time     // when it was obtained
}

// tokenReuse is how long a new token serves all calls that need one. When etcd no longer knows the old one, dozens of
// calls fail at once, and etcd takes a tenth of a second on purpose to check a password.
const tokenReuse = 500 * time.Millisecond

func (s *signIn) intercept(
	ctx context.Context, method string, request, response any, conn *grpc.ClientConn, next grpc.UnaryInvoker,
	options ...grpc.CallOption,
) error {
	authenticate, ok := request.(*pb.AuthenticateRequest)
	switch {
	case !ok && s.signedIn.Load():
		return next(ctx, method, request, response, conn, options...)
	case !ok: // without a token, etcd would use the name in the client certificate as the user
		return rpctypes.ErrGRPCUserEmpty
	case !s.created.Load(): // clientv3.New would fail while etcd is away
		return rpctypes.ErrGRPCAuthNotEnabled
	}
	select {
	case s.lock <- struct{}{}:
		defer func() { <-s.lock }()
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
	reply := response.(*pb.AuthenticateResponse)
	if time.Since(s.at) < tokenReuse {
		reply.Token = s.token
		return nil
	}
	password, err := s.cfg.password()
	if err != nil {
		return status.Error(codes.FailedPrecondition, err.Error())
	}
	err = next(ctx, method, &pb.AuthenticateRequest{Name: authenticate.Name, Password: password}, reply, conn, options...)
	switch {
	case err == nil:
		s.token, s.at = reply.Token, time.Now()
		s.signedIn.Store(true)
	case errors.Is(rpctypes.Error(err), rpctypes.ErrAuthNotEnabled):
		s.signedIn.Store(true)
	}
	return err
}

// watcher opens a gRPC stream for each watch. Clientv3 alone puts all watches on one stream, which has the token of its
// first watch. Once that has expired, etcd rejects later watches for as long as any watch holds the stream open.
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

// streamKey is metadata by which clientv3 distinguishes streams. etcd ignores it.
const streamKey = "blox-stream"

// DedicatedStream returns a context for a watch, and the requests for its progress, with a gRPC stream of their own. On
// a shared stream, progress waits for the slowest watch.
func DedicatedStream(ctx context.Context, name string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, streamKey, name)
}
