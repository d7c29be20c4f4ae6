package etcd

import (
	"context"
	"testing"

	"github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// A restored etcd keeps its cluster id, so only the generation distinguishes the responses of both histories.
func TestMonitor_DetectsAReplacementOnceDespiteLateResponses(t *testing.T) {
	former, restored := position{1, 100, "a"}, position{1, 10, "a"}
	late := &pb.ResponseHeader{ClusterId: 1, Revision: 101} // of the former etcd
	for name, respond := range map[string]func(t *testing.T, m *Monitor, replace func()){
		"to a request": func(t *testing.T, m *Monitor, replace func()) {
			response := &pb.PutResponse{}
			assert.NoError(t, m.unary(t.Context(), "Put", nil, response, nil,
				func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
					replace()
					response.Header = late
					return nil
				}))
		},
		"on a stream": func(t *testing.T, m *Monitor, replace func()) {
			stream, err := m.stream(t.Context(), nil, nil, "LeaseKeepAlive",
				func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
					return lateStream{header: late}, nil
				})
			require.NoError(t, err)
			replace()
			assert.NoError(t, stream.RecvMsg(&pb.LeaseKeepAliveResponse{}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			log, logged := test.NewNullLogger()
			m := NewMonitor(log, nil)
			m.compare(m.mark(), former)
			require.Zero(t, m.Generation())
			respond(t, m, func() { m.compare(m.mark(), restored) })
			require.Equal(t, int64(1), m.Generation())

			restored.revision++
			m.compare(m.mark(), restored)
			assert.Equal(t, int64(1), m.Generation(), "the late response is not of the restored etcd")
			assert.Len(t, logged.AllEntries(), 1)
		})
	}
}

// lateStream is a stream of lease renewals that receives one header.
type lateStream struct {
	grpc.ClientStream
	header *pb.ResponseHeader
}

func (s lateStream) RecvMsg(message any) error {
	message.(*pb.LeaseKeepAliveResponse).Header = s.header
	return nil
}
