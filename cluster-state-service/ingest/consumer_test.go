package ingest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"

	"github.com/blox/blox/internal/testenv"
)

// A long poll of an empty queue would show only 20 s later that the queue works again.
func TestConsumer_DoesNotWaitForMessagesAfterAFailure(t *testing.T) {
	waits := make(chan int, 10)
	fails := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var input struct{ WaitTimeSeconds int }
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&input))
		select {
		case waits <- input.WaitTimeSeconds:
		default: // the test has ended
		}
		if fails {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fails = false
		_, err := w.Write([]byte("{}"))
		assert.NoError(t, err)
	}))
	defer server.Close()
	client := sqs.New(sqs.Options{
		Region: "eu-west-1", BaseEndpoint: &server.URL, Credentials: aws.AnonymousCredentials{},
	})
	metrics := prometheus.NewRegistry()
	writer := NewWriter(WriterConfig{Recorder: &memory{}, Log: testenv.Logger(t), Metrics: metrics})
	consumer := NewConsumer(ConsumerConfig{
		Queue: NewSQS(client, Address{Name: "q", URL: server.URL + "/1/q"}), Writer: writer, Pollers: 1,
		Connectivity: NewConnectivity(metrics), Log: testenv.Logger(t),
	})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, writer.Run(ctx)) })
	running.Go(func() { assert.NoError(t, consumer.Run(ctx)) })
	var got []int
	for range 3 {
		got = append(got, testenv.Receive(t, waits))
	}
	cancel()
	running.Wait()
	assert.Equal(t, []int{20, 0, 20}, got)
}
