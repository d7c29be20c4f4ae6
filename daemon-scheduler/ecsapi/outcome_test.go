package ecsapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"

	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/ecserrors"
	"github.com/blox/blox/internal/ratelimit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// respond serves every request with one status and body.
func respond(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// apiError is the body of an error answer of ECS.
func apiError(code string) string { return `{"__type":"` + code + `","message":"the reason"}` }

// clientAt returns a Client without limits whose SDK does not retry.
func clientAt(url string) *Client {
	return unlimited(ecs.New(ecs.Options{
		Region: "us-east-1", BaseEndpoint: &url, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		HTTPClient:  awsconfig.BufferBodies(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}),
	}))
}

// unlimited returns a Client without limits that calls ECS through client.
func unlimited(client *ecs.Client) *Client {
	return NewClients(Config{
		ECS: client, CloudWatch: cloudwatch.New(cloudwatch.Options{}),
		NewLimits: func() ratelimit.Limits { return ratelimit.Limits{} },
	}).Of(Caller{})
}

func TestStartTask_ClassifiesWhatECSAnswers(t *testing.T) {
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	inactive := `{"__type":"InvalidParameterException","message":"TaskDefinition is inactive"}`
	for name, tc := range map[string]struct {
		serve http.HandlerFunc
		want  ecserrors.Class
		scope ecserrors.Scope
		code  string
	}{
		"success":                   {respond(200, `{"tasks":[],"failures":[]}`), ecserrors.Succeeded, "", ""},
		"throttled":                 {respond(400, apiError("ThrottlingException")), ecserrors.NotSent, ecserrors.ScopeCaller, "ThrottlingException"},
		"rejected":                  {respond(400, apiError("ClientException")), ecserrors.Rejected, ecserrors.ScopeDeployment, "ClientException"},
		"task definition not found": {respond(400, inactive), ecserrors.Rejected, ecserrors.ScopeDeployment, "InvalidParameterException"},
		"server error":              {respond(500, apiError("ServerException")), ecserrors.Unknown, ecserrors.ScopeCaller, "ServerException"},
		"gateway error":             {respond(502, "<html>"), ecserrors.Unknown, ecserrors.ScopeCaller, ""},
		"unreadable answer":         {respond(200, `{"tasks":`), ecserrors.Unknown, ecserrors.ScopeCaller, ""},
		"connection terminated":     {abort, ecserrors.Unknown, ecserrors.ScopeCaller, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tc.serve)
			defer server.Close()
			outcome := startTask(t.Context(), server.URL)
			assert.Equal(t, tc.want, outcome.Class)
			assert.Equal(t, tc.scope, outcome.Scope)
			assert.Equal(t, tc.code, outcome.Code)
			assert.Equal(t, tc.want == ecserrors.Succeeded, outcome.Err == nil)
		})
	}
}

// ECS rejects such calls before it executes them, whatever the status is.
func TestStartTask_DistinguishesErrorsAboutTheCallerFromThoseAboutTheDeployment(t *testing.T) {
	for code, want := range map[string]struct {
		class ecserrors.Class
		scope ecserrors.Scope
	}{
		"ExpiredTokenException":               {ecserrors.NotSent, ecserrors.ScopeCaller},
		"ExpiredToken":                        {ecserrors.NotSent, ecserrors.ScopeCaller},
		"InvalidSignatureException":           {ecserrors.NotSent, ecserrors.ScopeCaller},
		"UnrecognizedClientException":         {ecserrors.NotSent, ecserrors.ScopeCaller},
		"RequestExpired":                      {ecserrors.NotSent, ecserrors.ScopeCaller},
		"RequestTimeTooSkewed":                {ecserrors.NotSent, ecserrors.ScopeCaller},
		"InvalidClientTokenId":                {ecserrors.NotSent, ecserrors.ScopeCaller},
		"IncompleteSignature":                 {ecserrors.NotSent, ecserrors.ScopeCaller},
		"MissingAuthenticationTokenException": {ecserrors.NotSent, ecserrors.ScopeCaller},
		"OptInRequired":                       {ecserrors.NotSent, ecserrors.ScopeCaller},
		"AccessDeniedException":               {ecserrors.Rejected, ecserrors.ScopeDeployment},
		"AccessDenied":                        {ecserrors.Rejected, ecserrors.ScopeDeployment},
		"ClusterNotFoundException":            {ecserrors.Rejected, ecserrors.ScopeDeployment},
		"BlockedException":                    {ecserrors.NotSent, ecserrors.ScopeCaller},
		"InvalidParameterException":           {ecserrors.Rejected, ecserrors.ScopeDeployment},
		"ClientException":                     {ecserrors.Rejected, ecserrors.ScopeDeployment},
		"UnsupportedFeatureException":         {ecserrors.Rejected, ecserrors.ScopeDeployment},
		"PlatformUnknownException":            {ecserrors.Rejected, ecserrors.ScopeDeployment},
		"AnErrorOfTheFuture":                  {ecserrors.Rejected, ecserrors.ScopeDeployment},

		"PlatformTaskDefinitionIncompatibilityException": {ecserrors.Rejected, ecserrors.ScopeDeployment},
	} {
		for _, status := range []int{http.StatusBadRequest, http.StatusForbidden} {
			server := httptest.NewServer(respond(status, apiError(code)))
			outcome := startTask(t.Context(), server.URL)
			server.Close()
			assert.Equal(t, want.class, outcome.Class, code)
			assert.Equal(t, want.scope, outcome.Scope, code)
			assert.Equal(t, want.scope == ecserrors.ScopeCaller, outcome.RefusesCaller(), code)
		}
	}
}

// ECS lists what is wrong with single instances as failures of a call that succeeds. An error is about the request, and
// so about the deployment, unless it names an instance.
func TestStartTask_BlamesAnInstanceOnlyIfTheErrorNamesOne(t *testing.T) {
	for message, want := range map[string]ecserrors.Scope{
		"Network Configuration must be provided when networkMode 'awsvpc' is specified.": ecserrors.ScopeDeployment,
		"Override for container named agent is not a container in the TaskDefinition.":   ecserrors.ScopeDeployment,
		"Invalid identifier: Identifier is for 123456789012.":                            ecserrors.ScopeDeployment,
		"Container instance i6 is invalid.":                                              ecserrors.ScopeInstance,
		"The referenced container instances were not found.":                             ecserrors.ScopeInstance,
		"arn:aws:ecs:us-east-1:123456789012:container-instance/prod/i6 is not valid.":    ecserrors.ScopeInstance,
	} {
		server := httptest.NewServer(respond(400, `{"__type":"InvalidParameterException","message":"`+message+`"}`))
		outcome := startTask(t.Context(), server.URL)
		server.Close()
		assert.Equal(t, ecserrors.Rejected, outcome.Class, message)
		assert.Equal(t, want, outcome.Scope, message)
	}
}

// StopTask and attribute changes are about one task or a few instances.
func TestOtherCalls_AreRejectedForTheirOwnObject(t *testing.T) {
	server := httptest.NewServer(respond(400,
		`{"__type":"InvalidParameterException","message":"The referenced task was not found."}`))
	defer server.Close()
	outcome := clientAt(server.URL).StopTask(t.Context(), &ecs.StopTaskInput{Task: aws.String("t1")})
	assert.Equal(t, ecserrors.Rejected, outcome.Class)
	assert.Equal(t, ecserrors.ScopeInstance, outcome.Scope)
}

// A call whose credentials cannot be refreshed is not sent, although the SDK connects to another service for them. An
// error of that service says nothing about the deployment.
func TestStartTask_IsNotSentWithoutCredentials(t *testing.T) {
	server := httptest.NewServer(respond(403, apiError("AccessDeniedException")))
	defer server.Close()
	credentialsOf := aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		outcome := startTask(ctx, server.URL)
		return aws.Credentials{}, outcome.Err
	})
	options := ecs.Options{Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: credentialsOf}
	client := unlimited(ecs.New(options))
	_, outcome := client.StartTask(t.Context(), &ecs.StartTaskInput{
		ContainerInstances: []string{"i"}, TaskDefinition: aws.String("agent"),
	})
	assert.Equal(t, ecserrors.NotSent, outcome.Class)
	assert.Equal(t, ecserrors.ScopeCaller, outcome.Scope)
}

func TestOfError_KnowsErrorsOfCallsOnly(t *testing.T) {
	server := httptest.NewServer(respond(403, apiError("ExpiredTokenException")))
	defer server.Close()
	err := errors.Join(errors.New("etcd"), startTask(t.Context(), server.URL).Err)
	outcome, ok := ecserrors.OfError(fmt.Errorf("reconcile: %w", err))
	assert.True(t, ok)
	assert.True(t, outcome.RefusesCaller())
	_, ok = ecserrors.OfError(errors.New("etcd"))
	assert.False(t, ok)
}

func TestStartTask_KnowsThatItWasNotSent(t *testing.T) {
	const closed = "http://127.0.0.1:1"
	assert.Equal(t, ecserrors.NotSent, startTask(t.Context(), closed).Class, "connection refused")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Equal(t, ecserrors.NotSent, startTask(ctx, closed).Class, "context ended before the call")
}

func TestClassify_TreatsOtherErrorsAsUnknown(t *testing.T) {
	assert.Equal(t, ecserrors.Unknown, ecserrors.Classify(errors.New("something else"), true).Class)
}

func startTask(ctx context.Context, url string) ecserrors.Outcome {
	_, outcome := clientAt(url).StartTask(ctx, &ecs.StartTaskInput{
		ContainerInstances: []string{"i"}, TaskDefinition: aws.String("agent"),
	})
	return outcome
}
