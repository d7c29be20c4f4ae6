package status

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/informer"
	"github.com/blox/blox/daemon-scheduler/clusterstate"
	"github.com/blox/blox/internal/testenv"
)

// A v0.3 cluster-state-service serves lists that an informer cannot use.
func TestStatus_ReportsAClusterStateServiceThatIsTooOld(t *testing.T) {
	css := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"items":[]}`+"\n")
	}))
	defer css.Close()
	i, err := informer.New(informer.Config{Endpoints: []string{css.URL}, Log: testenv.Logger(t)})
	require.NoError(t, err)
	s := &Status{Config: Config{Cluster: clusterstate.New(i)}}
	assert.Equal(t, []string{"no data from cluster-state-service yet"}, s.clusterReasons())

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- i.Run(ctx) }()
	testenv.Eventually(t, i.TooOld)
	cancel()
	require.NoError(t, <-ended)
	assert.Equal(t, []string{"cluster-state-service is too old, such as v0.3: upgrade it before daemon-scheduler"},
		s.clusterReasons())
}
