package bench

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/blox/blox/internal/etcd"
)

// sharedReads are the least that linearizable reads need of etcd: a request waits for a small read that begins after
// its arrival, and all requests that wait share it.
type sharedReads struct {
	client *clientv3.Client
	queue  chan chan error
}

// newSharedReads returns sharedReads of etcd at an endpoint, until ctx ends.
func newSharedReads(ctx context.Context, endpoint string) (*sharedReads, error) {
	client, err := etcd.New(etcd.Config{Endpoints: []string{endpoint}}, nil)
	if err != nil {
		return nil, err
	}
	s := &sharedReads{client: client, queue: make(chan chan error, 1024)}
	go s.run(ctx)
	return s, nil
}

func (s *sharedReads) run(ctx context.Context) {
	for {
		var waiting []chan error
		select {
		case first := <-s.queue:
			waiting = append(waiting, first)
		case <-ctx.Done():
			_ = s.client.Close()
			return
		}
		for more := true; more; {
			select {
			case next := <-s.queue:
				waiting = append(waiting, next)
			default:
				more = false
			}
		}
		_, err := s.client.Get(ctx, "ecs/", clientv3.WithCountOnly())
		for _, w := range waiting {
			w <- err
		}
	}
}

// wait returns after a read that began after the call.
func (s *sharedReads) wait(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case s.queue <- done:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
