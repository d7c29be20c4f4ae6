// Package broadcast passes changes from one writer to many readers, none of which can delay the writer or the others.
//
// History is for readers that need every item in order: each reads at its own pace, and one that falls behind what
// the history retains is cut off with ErrSlow.
//
//	subscription := history.Subscribe()
//	defer subscription.Close()
//	for {
//		if err := subscription.Err(); err != nil {
//			return err
//		}
//		if items, ok := subscription.Next(); ok {
//			send(items)
//			continue
//		}
//		select {
//		case <-subscription.Ready():
//		case <-ctx.Done():
//			return nil
//		}
//	}
//
// Latest is for readers that need the newest value of each key: a slow reader skips the values in between.
//
//	cursor := latest.Subscribe()
//	defer cursor.Close()
//	for range ticker.C {
//		send(cursor.Changes()) // at first every key, then the keys that changed since
//	}
package broadcast
