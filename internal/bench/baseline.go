package bench

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/go-openapi/swag/conv"
	"github.com/sirupsen/logrus"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/harness"
	"github.com/blox/blox/internal/httpserver"
)

// receiveBaseline returns the rate at which pollers empty the queue that only receive and delete.
func (s *system) receiveBaseline(ctx context.Context) (float64, error) {
	aws, err := awsconfig.Load(ctx, s.getenv)
	if err != nil {
		return 0, err
	}
	client := awsconfig.SQS(aws)
	polling, cancel := context.WithCancel(ctx)
	defer cancel()
	var pollers errgroup.Group
	for range s.cfg.pollers {
		pollers.Go(func() error {
			for polling.Err() == nil {
				if err := receiveAndDelete(polling, client, s.queueURL); err != nil && polling.Err() == nil {
					return err
				}
			}
			return nil
		})
	}
	rate, err := s.drainRate(ctx)
	cancel()
	return rate, errors.Join(err, pollers.Wait())
}

func receiveAndDelete(ctx context.Context, client *sqs.Client, queue *string) error {
	got, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: queue, MaxNumberOfMessages: batchSize, WaitTimeSeconds: 20,
	})
	if err != nil || len(got.Messages) == 0 {
		return err
	}
	var entries []types.DeleteMessageBatchRequestEntry
	for i, m := range got.Messages {
		number := strconv.Itoa(i)
		entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: &number, ReceiptHandle: m.ReceiptHandle})
	}
	_, err = client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: queue, Entries: entries})
	return err
}

// getRecordsBaseline returns the rate at which a loop reads all shards concurrently from the iterators on, without
// processing the records. Unlike the service, it ignores Kinesis's limit of five reads per shard and second.
func getRecordsBaseline(ctx context.Context, client *kinesis.Client, iterators []*string) (float64, error) {
	var got atomic.Int64
	readers, reading := errgroup.WithContext(ctx)
	for _, iterator := range iterators {
		readers.Go(func() error {
			for {
				out, err := client.GetRecords(reading, &kinesis.GetRecordsInput{
					ShardIterator: iterator, Limit: conv.Pointer[int32](recordsPerRead),
				})
				if err != nil || len(out.Records) == 0 {
					return err
				}
				got.Add(int64(len(out.Records)))
				iterator = out.NextShardIterator
			}
		})
	}
	rate, err := middleRate(ctx, kinesisEvents, time.Millisecond, func() (int, error) {
		return int(got.Load()), reading.Err()
	})
	return rate, errors.Join(readers.Wait(), err)
}

// listBaseline reads all records from etcd, page by page.
func listBaseline(ctx context.Context, etcd *clientv3.Client) error {
	const prefix, pageSize = "ecs/", 500
	end := clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix))
	for from := prefix; ; {
		page, err := etcd.Get(ctx, from, end, clientv3.WithLimit(pageSize))
		if err != nil || !page.More {
			return err
		}
		from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
	}
}

// watchBaseline returns the time from just before each put into etcd until one watcher receives it.
func (m *streamMeter) watchBaseline(ctx context.Context, r eventRate) ([]time.Duration, error) {
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	var latencies []time.Duration
	var received, put atomic.Int64
	watch := m.system.etcd.Watch(watching, "bench/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	if created := <-watch; created.Err() != nil {
		return nil, created.Err()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for response := range watch {
			now := time.Now()
			for _, e := range response.Events {
				if d, ok := elapsed(e.Kv.Value, now); ok {
					latencies = append(latencies, d)
				}
				received.Add(1)
			}
		}
	}()
	_, err := m.repeat(ctx, r, func(ctx context.Context, number int) error {
		var puts []clientv3.Op
		sent := timestamp()
		for i := range r.batch {
			n := (number*r.batch + i) % streamedTasks
			event := taskEvent(n, instanceOf(n), 1, "RUNNING", sent)
			puts = append(puts, clientv3.OpPut("bench/"+strconv.Itoa(n), event))
		}
		put.Add(int64(r.batch))
		_, err := m.system.etcd.Txn(ctx).Then(puts...).Commit()
		return err
	})
	if err == nil {
		err = awaitArrival(ctx, "events of the watch", func() bool { return received.Load() == put.Load() })
	}
	cancel()
	<-done
	return latencies, err
}

const responseRole = "response"

// startResponseBaseline starts a server that answers every request with the response that the service gives to the
// path and header lines now. It uses the same HTTP server as the service. Unless endpoint is empty, each response waits
// for a read of etcd at the endpoint, see sharedReads. The caller stops the server.
func (s *system) startResponseBaseline(
	ctx context.Context, css *service, endpoint, path string, header ...string,
) (*service, error) {
	address, err := harness.FreeAddress()
	if err != nil {
		return nil, err
	}
	s.launched++
	server, err := s.start(harness.Config{
		Name: responseRole + "-" + strconv.Itoa(s.launched), Role: responseRole,
		Args: append([]string{address, css.url + path, endpoint}, header...),
	})
	if err != nil {
		return nil, err
	}
	url := "http://" + address
	return &service{Process: server, url: url}, server.AwaitReady(ctx, url, startTimeout)
}

// serveResponse listens on an address, and answers every request as a URL answers now. The arguments are both, the
// endpoint of etcd or an empty string, and header lines.
func serveResponse(ctx context.Context, args []string) error {
	if len(args) < 3 {
		return errors.New("want at least three arguments: host:port, URL and endpoint")
	}
	status, header, body, err := fetch(ctx, args[1], args[3:])
	if err != nil {
		return err
	}
	wait := func(context.Context) error { return nil }
	if args[2] != "" {
		reads, err := newSharedReads(ctx, args[2])
		if err != nil {
			return err
		}
		wait = reads.wait
	}
	listener, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	log := logrus.New()
	log.SetLevel(logrus.WarnLevel)
	header.Del("Date") // net/http sets it
	return httpserver.Serve(ctx, listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status == http.StatusNotModified && r.Header["If-None-Match"] == nil {
			return // 200, by which the parent process knows that the server is ready
		}
		if wait(r.Context()) != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}), log)
}

// fetch returns an uncompressed response to a request with header lines.
func fetch(ctx context.Context, url string, lines []string) (status int, header http.Header, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, nil, err
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Set(name, value)
	}
	request.Header.Set("Accept-Encoding", "identity") // the load generator accepts no other
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, response.Header, body, err
}
