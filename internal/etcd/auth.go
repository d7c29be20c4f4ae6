package etcd

import (
	"context"
	"crypto/tls"
	"net"
	"strconv"
	"sync/atomic"

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
// and so again when it has expired; what it lacks is added here.
func (c Config) authenticated(options clientv3.Config) (*clientv3.Client, error) {
	var made atomic.Bool
	signIn := func(ctx context.Context, method string, request, answer any, conn *grpc.ClientConn, next grpc.UnaryInvoker, calls ...grpc.CallOption) error {
		ask, is := request.(*pb.AuthenticateRequest)
		switch {
		case !is:
			return next(ctx, method, request, answer, conn, calls...)
		case !made.Load(): // clientv3.New would fail while etcd is away
			return rpctypes.ErrGRPCAuthNotEnabled
		}
		password, err := c.password()
		if err != nil {
			return status.Error(codes.FailedPrecondition, err.Error())
		}
		return next(ctx, method, &pb.AuthenticateRequest{Name: ask.Name, Password: password}, answer, conn, calls...)
	}
	options.Username, options.Password = c.User, "signIn knows it"
	options.DialOptions = append(options.DialOptions, grpc.WithChainUnaryInterceptor(signIn))
	client, err := clientv3.New(options)
	if err != nil {
		return nil, err
	}
	client.Watcher = &watcher{Watcher: client.Watcher}
	made.Store(true)
	return client, nil
}

// watcher has a gRPC stream for each watch. clientv3 alone puts all watches on one, whose token is that of its first: once
// that has expired, etcd refuses every later watch for as long as any other holds the stream open.
type watcher struct {
	clientv3.Watcher
	watches atomic.Uint64
}

func (w *watcher) Watch(ctx context.Context, key string, options ...clientv3.OpOption) clientv3.WatchChan {
	if md, _ := metadata.FromOutgoingContext(ctx); len(md[ownStream]) == 0 {
		ctx = OwnStream(ctx, strconv.FormatUint(w.watches.Add(1), 10))
	}
	return w.Watcher.Watch(ctx, key, options...)
}

// ownStream is metadata, by which clientv3 tells streams apart. Etcd does not look at it.
const ownStream = "blox-stream"

// OwnStream is for a watch, and the requests for its progress, that share their gRPC stream with nobody: on a shared one,
// others that lag keep progress back.
func OwnStream(ctx context.Context, name string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, ownStream, name)
}
