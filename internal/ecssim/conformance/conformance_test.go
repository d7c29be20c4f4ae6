package conformance

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/smithy-go/encoding/cbor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ecsTarget     = "AmazonEC2ContainerServiceV20141113."
	sqsTarget     = "AmazonSQS."
	kinesisTarget = "Kinesis_20131202."
)

// exchange is a call and its answer.
type exchange struct {
	target, request string
	status          int
	header          map[string]string
	answer          string
}

// violations returns what a validator finds in an exchange.
func violations(t *testing.T, e exchange) (string, *Validator) {
	t.Helper()
	v := New(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		for name, value := range e.header {
			w.Header().Set(name, value)
		}
		if e.status != 0 {
			w.WriteHeader(e.status)
		}
		_, _ = w.Write([]byte(e.answer))
	}))
	path := "/"
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(e.request))
	switch {
	case strings.HasPrefix(e.target, "/"):
		r = httptest.NewRequest(http.MethodPost, e.target, strings.NewReader(e.request))
	case e.target == "":
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	default:
		r.Header.Set("X-Amz-Target", e.target)
	}
	w := httptest.NewRecorder()
	v.ServeHTTP(w, r)
	require.Equal(t, e.answer, w.Body.String(), "the answer is passed on")
	return strings.Join(v.Violations(), "\n"), v
}

func TestValidator_FindsViolations(t *testing.T) {
	sqs := map[string]string{"Content-Type": "application/x-amz-json-1.0"}
	refusedBySQS := map[string]string{
		"Content-Type": "application/x-amz-json-1.0", "X-Amzn-Query-Error": "InternalFailure;Sender",
	}
	for name, test := range map[string]struct {
		exchange
		want string // "" for none
	}{
		"a good call": {exchange{ecsTarget + "ListTasks", `{"desiredStatus":"RUNNING"}`, 200, nil, `{"taskArns":["a"]}`}, ""},
		"an unknown member of an answer": {exchange{ecsTarget + "ListTasks", `{}`, 200, nil, `{"taskARNs":[]}`},
			"ecs.ListTasks answer: taskARNs is no member of ListTasksOutput"},
		"a member that begins with a capital": {exchange{ecsTarget + "ListTasks", `{}`, 200, nil, `{"TaskArns":[]}`},
			"TaskArns is no member"},
		"a null": {exchange{ecsTarget + "ListTasks", `{}`, 200, nil, `{"taskArns":null}`}, "taskArns is null"},
		"a value outside of an enum": {exchange{ecsTarget + "DescribeTasks", `{"tasks":["a"]}`, 200, nil,
			`{"tasks":[{"launchType":"MOON"}]}`}, `tasks[].launchType "MOON" is not one of`},
		"an unknown status": {exchange{ecsTarget + "DescribeTasks", `{"tasks":["a"]}`, 200, nil,
			`{"tasks":[{"lastStatus":"STARTING"}]}`}, `tasks[].lastStatus "STARTING" is not one of`},
		"a text instead of a time": {exchange{ecsTarget + "DescribeTasks", `{"tasks":["a"]}`, 200, nil,
			`{"tasks":[{"createdAt":"2026-01-01T00:00:00Z"}]}`}, "createdAt is string, not seconds since 1970"},
		"a number beyond an int32": {exchange{ecsTarget + "DescribeClusters", `{}`, 200, nil,
			`{"clusters":[{"runningTasksCount":3000000000}]}`}, "runningTasksCount 3000000000 (json.Number) is no int32"},
		"a missing required member": {exchange{kinesisTarget + "PutRecord",
			`{"StreamName":"s","Data":"MQ==","PartitionKey":"k"}`, 200, nil, `{"ShardId":"1"}`},
			"SequenceNumber is missing; it is required of PutRecordOutput"},
		"an empty list of at least one": {exchange{kinesisTarget + "DescribeStreamSummary", `{"StreamName":"s"}`, 200, nil,
			`{"StreamDescriptionSummary":{"EnhancedMonitoring":[{"ShardLevelMetrics":[]}]}}`}, "ShardLevelMetrics is empty"},
		"a bad blob": {exchange{kinesisTarget + "GetRecords", `{"ShardIterator":"i"}`, 200, nil,
			`{"Records":[{"Data":"§"}]}`}, "Data is not base64"},
		"an unknown member of a request": {exchange{ecsTarget + "ListTasks", `{"status":"RUNNING"}`, 200, nil, `{}`},
			"ecs.ListTasks request: status is no member of ListTasksInput"},
		"a request without a required member": {exchange{ecsTarget + "StartTask", `{"taskDefinition":"a"}`, 200, nil, `{}`},
			"missing required field, StartTaskInput.ContainerInstances"},
		"a refused request may be invalid": {exchange{ecsTarget + "StartTask", `{"taskDefinition":"a"}`, 400, nil,
			`{"__type":"InvalidParameterException","message":"no"}`}, ""},
		"an error of another operation": {exchange{ecsTarget + "ListTasks", `{}`, 400, nil,
			`{"__type":"TargetNotFoundException","message":"no"}`}, `"TargetNotFoundException" is no error of the operation`},
		"an error of another service": {exchange{sqsTarget + "ListQueues", `{}`, 500, refusedBySQS,
			`{"__type":"com.amazonaws.sqs#ServerException","message":"no"}`}, `"ServerException" is no error of the operation`},
		"an error without its query code": {exchange{sqsTarget + "ListQueues", `{}`, 500, sqs,
			`{"__type":"com.amazonaws.sqs#InternalFailure","message":"no"}`}, "has the header x-amzn-query-error"},
		"a server error with 400": {exchange{ecsTarget + "ListTasks", `{}`, 400, nil,
			`{"__type":"ServerException","message":"no"}`}, "ServerException has the status 400"},
		"an error without a message": {exchange{ecsTarget + "ListTasks", `{}`, 400, nil,
			`{"__type":"ClientException"}`}, "ClientException has no message"},
		"another content type": {exchange{sqsTarget + "ListQueues", `{}`, 200, nil, `{}`}, "content type"},
		"an unknown operation": {exchange{ecsTarget + "LandOnMoon", `{}`, 400, nil, `{}`}, "no operation of the API"},
		"an answer in CBOR": {exchange{"/service/GraniteServiceVersion20100801/operation/DescribeAlarms", "", 200,
			map[string]string{"Content-Type": "application/cbor"},
			string(cbor.Encode(cbor.Map{"MetricAlarms": cbor.List{cbor.Map{"StateValue": cbor.String("BAD")}}}))},
			`MetricAlarms[].StateValue "BAD" is not one of`},
		"an answer in XML": {exchange{"", "Action=AssumeRole", 200, map[string]string{"Content-Type": "text/xml"},
			`<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>a</AccessKeyId></Credentials></AssumeRoleResult>` +
				`</AssumeRoleResponse>`}, "Credentials.Expiration is missing"},
		"an error in XML": {exchange{"", "Action=AssumeRole", 403, map[string]string{"Content-Type": "text/xml"},
			`<ErrorResponse><Error><Code>MoonException</Code><Message>no</Message></Error></ErrorResponse>`},
			`"MoonException" is no error of the operation`},
	} {
		t.Run(name, func(t *testing.T) {
			found, _ := violations(t, test.exchange)
			if test.want == "" {
				assert.Empty(t, found)
				return
			}
			assert.Contains(t, found, test.want)
		})
	}
}

func TestValidator_Counts(t *testing.T) {
	_, v := violations(t, exchange{ecsTarget + "ListTasks", `{}`, 200, nil, `{}`})
	v.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/_sim/ping", nil))
	assert.Equal(t, map[string]Count{"ecs.ListTasks": {Requests: 1, Answers: 1}}, v.Counts())
	assert.Equal(t, Count{Requests: 1, Answers: 1}, v.Total())
}
