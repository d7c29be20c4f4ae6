package e2e

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Errors of ECS that only an operator can resolve have a code of their own and name their cause.
func TestECSErrors_NameTheirCause(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	d := w.startScheduler(unusedAddress)
	environment := d.createEnvironment("logs")
	patch := "/v1/environments/logs?deploymentToken=" + environment.DeploymentToken
	for code, tc := range map[string]struct {
		status     int
		retryAfter string
		text       string
	}{
		"ExpiredTokenException": {
			503, "30", "AWS rejects the credentials or the clock of daemon-scheduler: ExpiredTokenException\n",
		},
		"RequestTimeTooSkewed": {
			503, "30", "AWS rejects the credentials or the clock of daemon-scheduler: RequestTimeTooSkewed\n",
		},
		"AccessDeniedException": {503, "30", "ECS denies access: AccessDeniedException: "},
		"ThrottlingException":   {503, "5", "ECS throttles the calls of daemon-scheduler\n"},
	} {
		t.Run(code, func(t *testing.T) {
			for action, request := range map[string]struct{ method, path, body string }{
				"DescribeClusters": {
					"POST", "/v1/environments",
					`{"name":"new","instanceGroup":{"cluster":"prod"},"taskDefinition":"agent"}`,
				},
				"DescribeTaskDefinition": {"PATCH", patch, `{"taskDefinition":"agent:1"}`},
			} {
				w.refuse(action, code)
				answer, text := d.sendValid(request.method, request.path, request.body)
				assert.Equal(t, tc.status, answer.StatusCode, text)
				assert.Equal(t, tc.retryAfter, answer.Header.Get("Retry-After"))
				assert.Contains(t, text, tc.text)
			}
			answer, _ := d.send("GET", "/v1/environments/new", "")
			assert.Equal(t, http.StatusNotFound, answer.StatusCode)
		})
	}
}
