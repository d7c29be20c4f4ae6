package reconcile

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/go-openapi/swag/conv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pages are responses to ListClusters, by token.
type pages map[string]*ecs.ListClustersOutput

func (p pages) ListClusters(
	_ context.Context, input *ecs.ListClustersInput, _ ...func(*ecs.Options),
) (*ecs.ListClustersOutput, error) {
	return p[conv.Value(input.NextToken)], nil
}

func collectClusters(t *testing.T, client pages) ([]string, error) {
	p := ecs.NewListClustersPaginator(client, &ecs.ListClustersInput{})
	return collect(t.Context(), p, func(o *ecs.ListClustersOutput) ([]string, *string) {
		return o.ClusterArns, o.NextToken
	})
}

func TestCollect_ReadsAllPages(t *testing.T) {
	all, err := collectClusters(t, pages{
		"":  {ClusterArns: []string{"a"}, NextToken: conv.Pointer("1")},
		"1": {ClusterArns: []string{"b"}, NextToken: conv.Pointer("2")},
		"2": {ClusterArns: []string{"c"}},
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b", "c"}, all)
}

func TestCollect_RejectsRepeatedToken(t *testing.T) {
	repeated := &ecs.ListClustersOutput{NextToken: conv.Pointer("1")}
	_, err := collectClusters(t, pages{"": repeated, "1": repeated})
	assert.Error(t, err)
}
