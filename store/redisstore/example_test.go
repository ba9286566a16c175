package redisstore_test

import (
	"context"
	"log"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-e797c9ce/oauth/store/redisstore"
)

// One server. ContextTimeoutEnabled makes a call end when its context's
// deadline has come.
func Example() {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:6379", ContextTimeoutEnabled: true})
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := redisstore.New(ctx, client, redisstore.Options{})
	if err != nil {
		log.Fatal(err) // says what in redis.conf has to change
	}
	_ = s // oauth.Config{Store: s, …}
}

// A Redis Cluster. The records are spread over 64 hash slots.
func ExampleNew_cluster() {
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:                 []string{"10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.3:6379"},
		ContextTimeoutEnabled: true,
	})
	defer client.Close()

	s, err := redisstore.New(context.Background(), client, redisstore.Options{Prefix: "auth:"})
	if err != nil {
		log.Fatal(err)
	}
	_ = s
}
