package ecssim

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/ecssim/conformance"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a simulator that serves on a socket, with SDK clients for it.
type fixture struct {
	*Sim
	t   *testing.T
	ctx context.Context
	url string
	sdk aws.Config

	validator *conformance.Validator
	ecs       *ecs.Client
	sqs       *sqs.Client
	queue     *string // the event queue's URL
}

// newFixture serves a simulator until the test ends. The clients do not retry unless opts set a retryer.
func newFixture(t *testing.T, cfg Config, opts ...func(*aws.Config)) *fixture {
	t.Helper()
	cfg = cfg.withDefaults()
	s := New(cfg)
	validator := conformance.New(s)
	server := httptest.NewServer(validator)
	t.Cleanup(func() {
		s.Close()
		server.Close()
		assert.Empty(t, slices.DeleteFunc(validator.Violations(), func(violation string) bool {
			return strings.Contains(violation, " request: ") // tests send what the models forbid
		}), "answers conform to the API models")
	})
	sdk := aws.Config{
		Region: cfg.Region, BaseEndpoint: &server.URL,
		Credentials: credentials.NewStaticCredentialsProvider("any", "thing", ""),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} }, HTTPClient: awsconfig.BufferBodies(server.Client()),
	}
	for _, opt := range opts {
		opt(&sdk)
	}
	w := &fixture{
		Sim: s, t: t, ctx: t.Context(), url: server.URL, sdk: sdk, validator: validator,
		ecs: ecs.NewFromConfig(sdk), sqs: sqs.NewFromConfig(sdk),
	}
	url, err := w.sqs.GetQueueUrl(w.ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(s.cfg.QueueName)})
	require.NoError(t, err)
	w.queue = url.QueueUrl
	return w
}

// event is a decoded event.
type event struct {
	DetailType string         `json:"detail-type"`
	Resources  []string       `json:"resources"`
	Detail     map[string]any `json:"detail"`
	raw        string
}

// events receives and deletes all events in the queue.
func (w *fixture) events() []event {
	w.t.Helper()
	var all []event
	for {
		out, err := w.sqs.ReceiveMessage(w.ctx, &sqs.ReceiveMessageInput{QueueUrl: w.queue, MaxNumberOfMessages: 10})
		require.NoError(w.t, err)
		if len(out.Messages) == 0 {
			return all
		}
		var entries []sqstypes.DeleteMessageBatchRequestEntry
		for _, m := range out.Messages {
			e := event{raw: *m.Body}
			require.NoError(w.t, json.Unmarshal([]byte(*m.Body), &e))
			all = append(all, e)
			entries = append(entries, sqstypes.DeleteMessageBatchRequestEntry{Id: m.MessageId, ReceiptHandle: m.ReceiptHandle})
		}
		deleted, err := w.sqs.DeleteMessageBatch(w.ctx, &sqs.DeleteMessageBatchInput{QueueUrl: w.queue, Entries: entries})
		require.NoError(w.t, err)
		require.Empty(w.t, deleted.Failed)
	}
}

// start starts a task of a definition on each instance and returns the ARNs.
func (w *fixture) start(definition, startedBy string, instances ...string) []string {
	w.t.Helper()
	out, err := w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
		TaskDefinition: &definition, ContainerInstances: instances, StartedBy: aws.String(startedBy),
	})
	require.NoError(w.t, err)
	require.Empty(w.t, out.Failures)
	var arns []string
	for _, task := range out.Tasks {
		arns = append(arns, *task.TaskArn)
	}
	return arns
}

// task returns the simulator's own snapshot of a task.
func (w *fixture) task(arn string) Task {
	w.t.Helper()
	for _, task := range w.Tasks("") {
		if task.ARN == arn {
			return task
		}
	}
	w.t.Fatalf("no task %s", arn)
	return Task{}
}

func (w *fixture) eventually(condition func() bool, what string) {
	w.t.Helper()
	require.Eventually(w.t, condition, 10*time.Second, 2*time.Millisecond, what)
}

// inProcess returns the settings of an SDK client that calls the simulator without a socket, for tests with a fake
// clock.
func inProcess(s *Sim) aws.Config {
	return aws.Config{
		Region: s.cfg.Region, BaseEndpoint: aws.String("http://simulator"),
		Credentials: credentials.NewStaticCredentialsProvider("any", "thing", ""),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
		HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (_ *http.Response, err error) {
			if r.Body == nil {
				r.Body = http.NoBody
			}
			defer func() {
				cause, _ := recover().(error)
				if errors.Is(cause, http.ErrAbortHandler) { // the answer is lost
					err = io.ErrUnexpectedEOF
				}
			}()
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			return w.Result(), nil
		})},
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (do roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return do(r) }

// addGPUInstance registers an instance with GPUs in the default cluster, and returns its ARN.
func (w *fixture) addGPUInstance(ids ...string) string {
	w.t.Helper()
	out, err := w.ecs.RegisterContainerInstance(w.ctx, &ecs.RegisterContainerInstanceInput{
		TotalResources: []types.Resource{
			{Name: aws.String("CPU"), Type: aws.String("INTEGER"), IntegerValue: 2048},
			{Name: aws.String("MEMORY"), Type: aws.String("INTEGER"), IntegerValue: 4096},
			{Name: aws.String("GPU"), Type: aws.String("STRINGSET"), StringSetValue: ids},
		},
	})
	require.NoError(w.t, err)
	return *out.ContainerInstance.ContainerInstanceArn
}

// startWithGPUs starts a task whose container, of the family's name, requires a number of GPUs or ALL.
func (w *fixture) startWithGPUs(family, count, instance string) *ecs.StartTaskOutput {
	w.t.Helper()
	out, err := w.ecs.StartTask(w.ctx, &ecs.StartTaskInput{
		TaskDefinition: &family, ContainerInstances: []string{instance},
		Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{
			Name: &family, ResourceRequirements: []types.ResourceRequirement{
				{Type: types.ResourceTypeGpu, Value: &count},
			},
		}}},
	})
	require.NoError(w.t, err)
	return out
}
