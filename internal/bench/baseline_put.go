package bench

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/internal/awsconfig"
)

// putters is the number of concurrent transactions of the loop that puts, as of the service's Writer.
const putters = 2

// putter is the least that a durable consumer does: it receives, puts bodies into etcd without reading them, in
// transactions as large as the service's, and deletes. It neither decodes nor orders nor guards, and nothing watches.
type putter struct {
	s       *system
	client  *sqs.Client
	bodies  chan putBody
	written atomic.Int64 // selects the keys, of which there are as many as tasks
}

type putBody struct {
	body string
	done chan<- error // has room
}

// putBaseline returns the rate at which such a loop empties the queue.
func (s *system) putBaseline(ctx context.Context) (float64, error) {
	aws, err := awsconfig.Load(ctx, s.getenv)
	if err != nil {
		return 0, err
	}
	p := &putter{s: s, client: awsconfig.SQS(aws), bodies: make(chan putBody, operationsPerTxn)}
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	var loops errgroup.Group
	for range putters {
		loops.Go(func() error { p.put(running); return nil })
	}
	for range s.cfg.pollers {
		loops.Go(func() error {
			for running.Err() == nil {
				if err := p.poll(running); err != nil && running.Err() == nil {
					return err
				}
			}
			return nil
		})
	}
	rate, err := s.drainRate(ctx)
	cancel()
	return rate, errors.Join(err, loops.Wait())
}

func (p *putter) poll(ctx context.Context) error {
	got, err := p.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: p.s.queueURL, MaxNumberOfMessages: batchSize, WaitTimeSeconds: 20,
	})
	if err != nil || len(got.Messages) == 0 {
		return err
	}
	done := make(chan error, len(got.Messages))
	entries := make([]types.DeleteMessageBatchRequestEntry, len(got.Messages))
	for i, m := range got.Messages {
		number := strconv.Itoa(i)
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: &number, ReceiptHandle: m.ReceiptHandle}
		select {
		case p.bodies <- putBody{*m.Body, done}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for range entries {
		select {
		case err := <-done:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	_, err = p.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: p.s.queueURL, Entries: entries})
	return err
}

// put commits the bodies that wait, until ctx ends.
func (p *putter) put(ctx context.Context) {
	for ctx.Err() == nil {
		var batch []putBody
		select {
		case first := <-p.bodies:
			batch = append(batch, first)
		case <-ctx.Done():
			return
		}
		for more := true; more && len(batch) < operationsPerTxn; {
			select {
			case b := <-p.bodies:
				batch = append(batch, b)
			default:
				more = false
			}
		}
		puts := make([]clientv3.Op, len(batch))
		for i, b := range batch {
			n := int(p.written.Add(1) % (ingestEvents / 4))
			puts[i] = clientv3.OpPut(strings.Replace(taskKey(n, n), "ecs/", "bare/", 1), b.body)
		}
		_, err := p.s.etcd.Txn(ctx).Then(puts...).Commit()
		for _, b := range batch {
			b.done <- err
		}
	}
}
