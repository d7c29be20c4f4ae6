package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// service is an AWS service: how its calls are known, and its API model.
type service struct {
	name         string
	target, path string // of a request: the start of X-Amz-Target or of the path
	form         bool   // requests are forms, answers XML
	smallMembers bool   // members begin with a small letter
	queryErrors  bool   // errors have the header x-amzn-query-error too
	contentType  string
	protocol     protocol
	client       any // of the SDK; it validates requests and sends none
	registry     *smithy.TypeRegistry
	namespace    string // of error shapes
	required     map[string][]string
	errors       map[string][]string // by operation
	commonErrors []string            // of every operation, beside the commonErrors of all services
}

// config makes clients that validate a request and send none.
var config = aws.Config{
	Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("any", "thing", ""),
	Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	APIOptions: []func(*middleware.Stack) error{func(stack *middleware.Stack) error {
		return stack.Serialize.Add(middleware.SerializeMiddlewareFunc("stop", func(
			context.Context, middleware.SerializeInput, middleware.SerializeHandler,
		) (out middleware.SerializeOutput, metadata middleware.Metadata, err error) {
			return out, metadata, errValid
		}), middleware.Before)
	}},
}

var errValid = errors.New("valid")

var services = []*service{
	{
		name: "ecs", target: "AmazonEC2ContainerServiceV20141113.", smallMembers: true,
		contentType: "application/x-amz-json-1.1", protocol: jsonProtocol{}, client: ecs.NewFromConfig(config),
		registry: ecs.TypeRegistry, namespace: "com.amazonaws.ecs#", required: ecsRequired, errors: ecsErrors,
		commonErrors: []string{"ServerException", "ClientException", "InvalidParameterException"},
	},
	{
		name: "sqs", target: "AmazonSQS.", queryErrors: true, contentType: "application/x-amz-json-1.0",
		protocol: jsonProtocol{}, client: sqs.NewFromConfig(config), registry: sqs.TypeRegistry,
		namespace: "com.amazonaws.sqs#", required: sqsRequired, errors: sqsErrors,
		commonErrors: []string{"RequestThrottled", "InvalidAddress", "InvalidSecurity", "UnsupportedOperation",
			"InvalidParameterValue", "MissingParameter"},
	},
	{
		name: "kinesis", target: "Kinesis_20131202.", contentType: "application/x-amz-json-1.1", protocol: jsonProtocol{},
		client: kinesis.NewFromConfig(config), registry: kinesis.TypeRegistry, namespace: "com.amazonaws.kinesis#",
		required: kinesisRequired, errors: kinesisErrors, commonErrors: []string{"InvalidArgumentException"},
	},
	{
		name: "cloudwatch", path: "/service/GraniteServiceVersion20100801/operation/", queryErrors: true,
		contentType: "application/cbor", protocol: cborProtocol{}, client: cloudwatch.NewFromConfig(config),
		registry: cloudwatch.TypeRegistry, namespace: "com.amazonaws.cloudwatch#",
		errors: map[string][]string{
			"DescribeAlarms": {"InvalidNextToken"}, "SetAlarmState": {"ResourceNotFound", "InvalidFormatFault"},
		},
		commonErrors: []string{"Throttling", "ValidationError", "InternalServiceFault"},
	},
	{
		name: "sts", form: true, contentType: "text/xml", protocol: xmlProtocol{}, client: sts.NewFromConfig(config),
		registry: &smithy.TypeRegistry{}, namespace: "com.amazonaws.sts#", required: stsRequired,
		errors: map[string][]string{"AssumeRole": {
			"MalformedPolicyDocument", "PackedPolicyTooLarge", "RegionDisabledException",
		}},
		commonErrors: []string{"Throttling", "ValidationError", "AccessDenied"},
	},
}

// operation returns the types of an operation's input and output.
func (s *service) operation(action string) (input, output reflect.Type, known bool) {
	method, ok := reflect.TypeOf(s.client).MethodByName(action)
	if !ok || method.Type.NumIn() < 3 || method.Type.NumOut() != 2 {
		return nil, nil, false
	}
	return method.Type.In(2).Elem(), method.Type.Out(0).Elem(), true
}

// validateRequest checks the members of a request and has the SDK check what it requires. Forms are not checked.
func (s *service) validateRequest(action string, input reflect.Type, body []byte) []string {
	if s.form || len(body) == 0 {
		return nil
	}
	value, err := s.protocol.decode(body)
	if err != nil {
		return []string{err.Error()}
	}
	check := checker{service: s}
	check.value("", value, input)
	if len(check.found) > 0 {
		return check.found
	}
	asJSON, err := json.Marshal(value)
	in := reflect.New(input)
	if err == nil {
		err = json.Unmarshal(asJSON, in.Interface()) // it ignores the case of names
	}
	if err != nil {
		return []string{err.Error()}
	}
	returned := reflect.ValueOf(s.client).MethodByName(action).Call([]reflect.Value{
		reflect.ValueOf(context.Background()), in,
	})
	var invalid smithy.InvalidParamsError
	if err, _ := returned[1].Interface().(error); errors.As(err, &invalid) {
		return []string{invalid.Error()}
	}
	return nil
}

// validateError checks that the operation has the error, and that its status is that of its fault.
func (s *service) validateError(action string, answer *recorder) (found []string) {
	found = s.validateHeader(answer)
	code, message, err := s.protocol.decodeError(answer.body.Bytes())
	if err != nil {
		return append(found, err.Error())
	}
	if message == "" {
		found = append(found, code+" has no message")
	}
	if s.queryErrors {
		query, fault, _ := strings.Cut(answer.Header().Get("X-Amzn-Query-Error"), ";")
		if query == "" || (fault == "Receiver") != (answer.status >= http.StatusInternalServerError) {
			found = append(found, fmt.Sprintf("%s has the header x-amzn-query-error %q;%q", code, query, fault))
		}
	}
	code = strings.TrimPrefix(code, s.namespace)
	if !commonErrors[code] && !slices.Contains(s.commonErrors, code) && !slices.Contains(s.errors[action], code) {
		return append(found, fmt.Sprintf("%q is no error of the operation", code))
	}
	serverFault := code == "InternalFailure" || code == "ServiceUnavailable"
	if entry := s.registry.Entries[s.namespace+code]; entry != nil {
		if modelled, ok := entry.New().(smithy.APIError); ok {
			serverFault = modelled.ErrorFault() == smithy.FaultServer
		}
	}
	if serverFault != (answer.status >= http.StatusInternalServerError) {
		found = append(found, fmt.Sprintf("%s has the status %d", code, answer.status))
	}
	return found
}
