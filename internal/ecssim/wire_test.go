package ecssim

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// call sends a request without an SDK.
func (w *fixture) call(target, body string) (int, []byte) {
	w.t.Helper()
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	request.Header.Set("X-Amz-Target", target)
	w.ServeHTTP(recorder, request)
	return recorder.Code, recorder.Body.Bytes()
}

func TestWire_ErrorsHaveAWSForm(t *testing.T) {
	s := New(Config{})
	defer s.Close()
	for name, tc := range map[string]struct {
		target, body, contentType, want, query string
		status                                 int
	}{
		"an unknown ECS action": {
			ecsTarget + "Nope", "{}", "application/x-amz-json-1.1",
			`{"__type":"UnknownOperationException","message":"The simulator has no operation ` +
				`\"AmazonEC2ContainerServiceV20141113.Nope\"."}`,
			"", 400,
		},
		"an unknown SQS action": {
			sqsTarget + "Nope", "{}", "application/x-amz-json-1.0",
			`{"__type":"com.amazonaws.sqs#UnknownOperationException","message":"The simulator has no operation ` +
				`\"AmazonSQS.Nope\"."}`,
			"InvalidAction;Sender", 400,
		},
		"no target": {
			"", "", "application/x-amz-json-1.1",
			`{"__type":"UnknownOperationException","message":"The simulator has no operation \"\"."}`, "", 400,
		},
		"a body that is no JSON": {ecsTarget + "ListTasks", "{", "application/x-amz-json-1.1",
			`{"__type":"SerializationException","message":"The body is not JSON, or a field has the wrong type."}`, "", 400},
		"a field of the wrong type": {sqsTarget + "ReceiveMessage", `{"QueueUrl":5}`, "application/x-amz-json-1.0",
			`{"__type":"com.amazonaws.sqs#SerializationException","message":"The body is not JSON, or a field has the wrong ` +
				`type."}`, "SerializationException;Sender", 400},
		"no such queue": {sqsTarget + "ReceiveMessage", `{}`, "application/x-amz-json-1.0",
			`{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not ` +
				`exist."}`, "AWS.SimpleQueueService.NonExistentQueue;Sender", 400},
		"no such cluster": {ecsTarget + "ListTasks", `{"cluster":"nope"}`, "application/x-amz-json-1.1",
			`{"__type":"ClusterNotFoundException","message":"Cluster not found."}`, "", 400},
	} {
		t.Run(name, func(t *testing.T) {
			recorder := httptest.NewRecorder()
			request := httptest.NewRequest(http.MethodPost, "/any/path", strings.NewReader(tc.body))
			request.Header.Set("X-Amz-Target", tc.target)
			s.ServeHTTP(recorder, request)
			assert.Equal(t, tc.status, recorder.Code)
			assert.Equal(t, tc.contentType, recorder.Header().Get("Content-Type"))
			assert.JSONEq(t, tc.want, recorder.Body.String())
			assert.Equal(t, tc.query, recorder.Header().Get("x-amzn-query-error"))
			assert.NotEmpty(t, recorder.Header().Get("x-amzn-RequestId"))
		})
	}
}

func TestWire_LimitsBodies(t *testing.T) {
	w := newFixture(t, Config{})
	status, _ := w.call(
		sqsTarget+"SendMessage", `{"QueueUrl":"blox_queue","MessageBody":"`+strings.Repeat("a", maxMessage)+`"}`,
	)
	assert.Equal(t, http.StatusOK, status, "a message of SQS's full size")
	status, body := w.call(sqsTarget+"SendMessage", strings.Repeat("a", maxBody+1))
	assert.Equal(t, http.StatusRequestEntityTooLarge, status)
	assert.Contains(t, string(body), "RequestEntityTooLarge")
}

// Without a hijackable connection the handler aborts the response, as net/http expects.
func TestWire_LostResponseWithoutAConnection(t *testing.T) {
	s := New(Config{Faults: Faults{LostResponses: map[string]float64{"ecs": 1}}})
	defer s.Close()
	request := httptest.NewRequest(http.MethodPost, "/", nil)
	request.Header.Set("X-Amz-Target", ecsTarget+"ListClusters")
	assert.PanicsWithValue(t, http.ErrAbortHandler, func() { s.ServeHTTP(httptest.NewRecorder(), request) })
}

func TestClose_EndsEverything(t *testing.T) {
	w := newFixture(t, Config{PendingDelay: 1 << 40, Faults: Faults{
		Latency: map[string]Duration{"ListClusters": 1 << 40},
	}})
	w.StartFargateTask("default", "web")
	w.events()
	ended := make(chan int, 2)
	go func() {
		status, _ := w.call(ecsTarget+"ListClusters", "")
		ended <- status
	}()
	go func() {
		status, _ := w.call(sqsTarget+"ReceiveMessage", `{"QueueUrl":"blox_queue","WaitTimeSeconds":20}`)
		ended <- status
	}()
	w.Close()
	w.Close()
	for range 2 {
		assert.Contains(t, []int{http.StatusOK, http.StatusServiceUnavailable}, <-ended)
	}
	status, _ := w.call(ecsTarget+"DescribeClusters", "")
	assert.Equal(t, http.StatusServiceUnavailable, status)
}

// The simulator answers every request, and reports no client error as a server error.
func FuzzServeHTTP(f *testing.F) {
	for action := range ecsActions {
		f.Add(
			ecsTarget+action,
			`{"cluster":"default","containerInstances":["a/"],"tasks":["/"],"taskDefinition":"web:","family":"a",`+
				`"containerDefinitions":[{"name":"a","image":"i","memory":1}],"attributes":[{"name":"a"}],"status":"ACTIVE",`+
				`"networkConfiguration":{},"overrides":{"containerOverrides":[{"name":"web"}]}}`,
		)
	}
	for action := range sqsActions {
		f.Add(
			sqsTarget+action,
			`{"QueueUrl":"x/blox_queue","QueueName":"q","MessageBody":"a","Entries":[{"Id":"1","MessageBody":"a",`+
				`"ReceiptHandle":"YSAx","VisibilityTimeout":0}],"ReceiptHandle":"YSAx","Attributes":{"RedrivePolicy":"{}"},`+
				`"MaxNumberOfMessages":10}`,
		)
	}
	for action := range kinesisActions {
		f.Add(
			kinesisTarget+action,
			`{"StreamName":"s","ShardCount":1,"ShardId":"shardId-000000000000","ShardIteratorType":"LATEST",`+
				`"ShardIterator":"e30=","PartitionKey":"k","Data":"YQ==","Records":[{"PartitionKey":"k"}],`+
				`"ShardToSplit":"shardId-000000000000","NewStartingHashKey":"5","Limit":1}`,
		)
	}
	f.Add("", "null")
	f.Fuzz(func(t *testing.T, target, body string) {
		if strings.Contains(body, "Wait") || strings.Contains(strings.ToLower(body), "wait") {
			t.Skip("a long poll takes its time")
		}
		s := New(Config{})
		defer s.Close()
		s.AddInstances("default", 1)
		s.StartFargateTask("default", "web")
		request := httptest.NewRequest(http.MethodPost, "/", io.NopCloser(bytes.NewBufferString(body)))
		request.Header.Set("X-Amz-Target", target)
		recorder := httptest.NewRecorder()
		s.ServeHTTP(recorder, request)
		require.Less(t, recorder.Code, 500, recorder.Body.String())
	})
}

// curl -d says that its body is a form. The quick start uses it.
func TestWire_TargetDecidesOverContentType(t *testing.T) {
	w := newFixture(t, Config{})
	r, err := http.NewRequestWithContext(w.ctx, http.MethodPost, w.url, strings.NewReader("{}"))
	require.NoError(t, err)
	r.Header.Set("X-Amz-Target", ecsTarget+"ListClusters")
	r.Header.Set("Content-Type", formContentType)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, answer.StatusCode, "%s", body)
	assert.Contains(t, string(body), "clusterArns")
}
