package e2e

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/api"
	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/internal/access"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	v1 "github.com/blox/blox/swagger/cluster-state-service/v1"
)

const prodARN = "arn:aws:ecs:us-east-1:123456789012:cluster/prod"

// accessFile returns an access file with the tokens "<name>-token", given as name=role.
func accessFile(entries ...string) string {
	text := "tokens:\n"
	for _, entry := range entries {
		name, role, _ := strings.Cut(entry, "=")
		text += "  - {name: " + name + ", role: " + role + ", sha256: " + access.Hash(name+"-token") + "}\n"
	}
	return text
}

// startProtected runs a service with an access file. It returns the URL of its read-only address.
func startProtected(t *testing.T, w *system, file string) (c *css, readOnly string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "access.yml")
	require.NoError(t, os.WriteFile(path, []byte(file), 0o600))
	address := testenv.FreeAddress(t)
	c = w.run(testenv.FreeAddress(t), "blox_queue", "--access-file", path, "--read-only-bind", address)
	return c.ready(), "http://" + address
}

// statusAs sends a request with a token, without one if that is empty. It returns the status of the response.
func statusAs(t *testing.T, token, method, url string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	require.NoError(t, err)
	return answer.StatusCode
}

func TestAccess_RolesAreEnforced(t *testing.T) {
	t.Parallel()
	w := newSystem(t, ecssim.Config{})
	c, readOnly := startProtected(t, w, accessFile("vera=viewer", "otto=operator", "ada=admin"))
	roles := map[string]access.Role{
		"": access.Public, "eve-token": access.Public, "vera-token": access.Viewer, "otto-token": access.Operator,
		"ada-token": access.Admin,
	}
	for _, operation := range testenv.Operations(t, v1.JSON) {
		if strings.HasPrefix(operation.Path, "/v1/stream/") {
			operation.Method = http.MethodHead // ends after the header
		}
		method, path := operation.Request()
		request, err := http.NewRequestWithContext(t.Context(), method, path, nil)
		require.NoError(t, err)
		needed := api.Policy.Role(request)
		for token, role := range roles {
			status := statusAs(t, token, method, c.url+path)
			switch {
			case role >= needed:
				assert.NotContains(t, []int{401, 403}, status, "%q: %s", token, operation.ID)
			case role == access.Public:
				assert.Equal(t, 401, status, "%q: %s", token, operation.ID)
			default:
				assert.Equal(t, 403, status, "%q: %s", token, operation.ID)
			}
		}
	}
	assert.Equal(t, 401, statusAs(t, "", "GET", c.url+"/metrics"))
	assert.Equal(t, 200, statusAs(t, "vera-token", "GET", c.url+"/metrics"))
	assert.Equal(t, 200, statusAs(t, "", "GET", readOnly+"/metrics"))
	assert.Equal(t, 200, statusAs(t, "", "GET", readOnly+"/v1/tasks"))
	assert.Equal(t, 405, statusAs(t, "ada-token", "POST", readOnly+"/v1/instances/refresh"))
}

func TestAccess_InformerFollowsWithItsToken(t *testing.T) {
	t.Parallel()
	w := newSystem(t, ecssim.Config{})
	require.Equal(t, prodARN, w.sim.CreateCluster("prod"))
	arns := w.sim.AddInstances("prod", 1)
	c, _ := startProtected(t, w, accessFile("vera=viewer", "otto=operator"))
	tokenFile := filepath.Join(t.TempDir(), "token")
	cfg := informer.Config{Endpoints: []string{c.url}, TokenFile: tokenFile, Log: quiet(t)}
	_, err := informer.New(cfg)
	require.ErrorContains(t, err, "token file: open "+tokenFile)

	require.NoError(t, os.WriteFile(tokenFile, []byte("vera-token\n"), 0o600))
	clusters, err := informer.New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, clusters.Run(ctx)) })
	defer func() { cancel(); running.Wait() }()
	testenv.Eventually(t, func() bool { return len(clusters.Instances(prodARN)) == 1 })
	_, err = clusters.RefreshInstances(ctx, prodARN, arns)
	assert.ErrorContains(t, err,
		"status 403: vera has the role viewer; POST /v1/instances/refresh needs the role operator")

	require.NoError(t, os.WriteFile(tokenFile, []byte("otto-token\n"), 0o600))
	testenv.Eventually(t, func() bool {
		_, err := clusters.RefreshInstances(ctx, prodARN, arns)
		return err == nil
	}, "the informer does not use the new token")
}
