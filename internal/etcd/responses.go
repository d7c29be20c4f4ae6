package etcd

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// dialOptions let the monitor see the header of every response.
func (m *Monitor) dialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(m.unary), grpc.WithChainStreamInterceptor(m.stream),
	}
}

func (m *Monitor) unary(
	ctx context.Context, method string, request, response any, conn *grpc.ClientConn, next grpc.UnaryInvoker,
	options ...grpc.CallOption,
) error {
	before := m.mark()
	err := next(ctx, method, request, response, conn, options...)
	if err == nil {
		m.observe(header(response), before)
	}
	return err
}

func (m *Monitor) stream(
	ctx context.Context, description *grpc.StreamDesc, conn *grpc.ClientConn, method string, next grpc.Streamer,
	options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	generation := m.Generation()
	stream, err := next(ctx, description, conn, method, options...)
	if err != nil {
		return nil, err
	}
	return observedStream{stream, m, generation}, nil
}

// observedStream is a stream of watches or of lease renewals.
type observedStream struct {
	grpc.ClientStream
	monitor    *Monitor
	generation int64 // in which the stream began
}

func (s observedStream) RecvMsg(message any) error {
	before := s.monitor.mark()
	before.generation = s.generation
	if err := s.ClientStream.RecvMsg(message); err != nil {
		return err
	}
	if watch, ok := message.(*pb.WatchResponse); ok {
		// A response with events is often older than one to another request. Only a new watch shows the present revision.
		before.revision = 0
		if watch.Created {
			s.monitor.requestCheck()
		}
	}
	s.monitor.observe(header(message), before)
	return nil
}

// header returns the header of a response; nil if it has none.
func header(response any) *pb.ResponseHeader {
	if r, ok := response.(interface{ GetHeader() *pb.ResponseHeader }); ok {
		return r.GetHeader()
	}
	return nil
}

// observe records the header of a response. It requests a check if the header contradicts the position before the
// request. It ignores a request or stream that began before the data was replaced: a late response of the former etcd
// would make the new one look replaced, too.
func (m *Monitor) observe(h *pb.ResponseHeader, before mark) {
	if h == nil || h.ClusterId == 0 || h.Revision == 0 {
		return
	}
	m.mu.Lock()
	if before.generation != m.generation {
		m.mu.Unlock()
		return
	}
	suspicious := h.Revision < before.revision || m.seen.cluster != 0 && h.ClusterId != m.seen.cluster
	if !suspicious {
		m.seen.revision = max(m.seen.revision, h.Revision)
	}
	m.mu.Unlock()
	if suspicious {
		m.requestCheck()
	}
}

func (m *Monitor) requestCheck() {
	select {
	case m.suspect <- struct{}{}:
	default:
	}
}
