package e2e

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestList_FiltersByTodaysFields(t *testing.T) {
	c := newStockedService(t)
	for path, want := range map[string][]string{
		"/v1/tasks?group=family:agent,service:web":                             {runningTask, fargateTask},
		"/v1/tasks?group=!family:agent":                                        {shortTask, fargateTask},
		"/v1/tasks?capacityProviderName=FARGATE_SPOT":                          {fargateTask},
		"/v1/tasks?capacityProviderName=!FARGATE_SPOT":                         {shortTask, runningTask},
		"/v1/tasks?launchType=fargate,ec2&cluster=prod":                        {runningTask, fargateTask},
		"/v1/tasks?ec2InstanceId=i-0a1b2c3d4e5f60718":                          {runningTask},
		"/v1/tasks?ec2InstanceId=!i-0a1b2c3d4e5f60718":                         {shortTask, fargateTask},
		"/v1/tasks?ec2InstanceId=i-unknown":                                    {},
		"/v1/tasks?ec2InstanceId=i-unknown,i-0a1b2c3d4e5f60718&status=running": {runningTask},
		"/v1/tasks?stopCode=UserInitiated":                                     {},
		"/v1/tasks?since=2026-03-04T10:15:00Z":                                 {runningTask},
		"/v1/tasks?since=2999-01-01T00:00:00Z":                                 {},
		"/v1/tasks?search=" + runningTask:                                      {runningTask},
		"/v1/tasks?search=SERVICE:web":                                         {fargateTask},
		"/v1/tasks?search=fargate_spot&status=running":                         {fargateTask},
		"/v1/tasks?search=arn:aws":                                             {shortTask, runningTask, fargateTask},
		"/v1/tasks?search=aws":                                                 {},
		"/v1/instances?search=I-0a1b2c3d4e5f60718":                             {draining, instance},
		"/v1/instances?search=prod&attribute=stack:prod":                       {draining, instance},
		"/v1/instances?search=nothing":                                         {},
		"/v1/instances?attribute=!stack:prod":                                  {},
		"/v1/instances?attribute=stack:test,stack:prod":                        {draining, instance},
		"/v1/instances?capacityProviderName=x":                                 {},
		"/v1/instances?since=2999-01-01T00:00:00Z":                             {},
		"/v1/instances?ec2InstanceId=i-0a1b2c3d4e5f60718,i-x":                  {draining, instance},
	} {
		answer, body := c.get(path)
		assert.Equal(t, http.StatusOK, answer.StatusCode, path)
		assert.Equal(t, want, arns(t, body), path)
	}
}
