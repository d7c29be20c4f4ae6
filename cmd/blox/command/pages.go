package command

import (
	"github.com/spf13/cobra"
)

// allPages calls read with the token of each page, empty for the first, and returns the items of all pages.
func allPages[T any](read func(token string) (items []T, nextToken string, err error)) ([]T, error) {
	all := []T{}
	for token := ""; ; {
		items, next, err := read(token)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
		if next == "" {
			return all, nil
		}
		token = next
	}
}

// pageSize is the number of items of one page of a list.
type pageSize int32

const defaultPageSize pageSize = 500

func (p *pageSize) addFlag(cmd *cobra.Command) {
	cmd.Flags().Int32Var((*int32)(p), "page-size", int32(defaultPageSize),
		"items per request, 1 to 1000; API Gateway limits responses to 10 MB")
}
