package e2e

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// recordStarts returns a function that returns the bodies of the StartTask calls from now on.
func (w *system) recordStarts() (bodies func() []string) {
	var mu sync.Mutex
	var recorded []string
	w.serveAWS(http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".StartTask") {
			body, err := io.ReadAll(r.Body)
			assert.NoError(w.t, err)
			r.Body = io.NopCloser(bytes.NewReader(body))
			mu.Lock()
			recorded = append(recorded, string(body))
			mu.Unlock()
		}
		w.sim.ServeHTTP(to, r)
	}))
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return recorded
	}
}

func TestTaskSettings_PassVolumesToStartTask(t *testing.T) {
	t.Parallel()
	w := newSystem(t)
	instance := w.sim.AddInstances("prod", 1)[0]
	starts := w.recordStarts()
	_, err := w.ecs().RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family:  aws.String("store"),
		Volumes: []types.Volume{{Name: aws.String("data"), ConfiguredAtLaunch: aws.Bool(true)}},
		ContainerDefinitions: []types.ContainerDefinition{
			{Name: aws.String("store"), Image: aws.String("store"), Memory: aws.Int32(64)},
		},
	})
	require.NoError(t, err)
	d := w.startServices()
	const named = `{"name":"store","taskDefinition":"store","instanceGroup":{"cluster":"prod"}`
	d.mustReject(400, "validation failure list:\ntaskSettings.volumeConfigurations in body is required for volume data, "+
		"which the task definition configures at launch", "POST", "/v1/environments", named+"}")

	const volumes = `{"volumeConfigurations":[{"name":"data","managedEBSVolume":{"roleArn":"arn:aws:iam::1:role/ebs",` +
		`"sizeInGiB":20,"volumeType":"gp3","encrypted":false,"terminationPolicy":{"deleteOnTermination":true}}}]}`
	var made models.Environment
	d.mustSend("POST", "/v1/environments", named+`,"taskSettings":`+volumes+"}", &made)
	assert.EqualValues(t, 20, *made.TaskSettings.VolumeConfigurations[0].ManagedEBSVolume.SizeInGiB)
	w.awaitOneTaskEach(d.deploy(made), instance)
	if assert.Len(t, starts(), 1) {
		assert.Contains(t, starts()[0], `"volumeConfigurations":[{`)
		for _, field := range []string{
			`"name":"data"`, `"sizeInGiB":20`, `"volumeType":"gp3"`, `"roleArn":"arn:aws:iam::1:role/ebs"`,
			`"encrypted":false`, `"deleteOnTermination":true`,
		} {
			assert.Contains(t, starts()[0], field)
		}
	}
}
