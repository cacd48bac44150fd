FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates curl python3 python3-pymongo \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY . .
# What the source is mounted over stays: the volume at /app/packages is filled from here.
RUN mkdir -p packages && touch packages/installed
EXPOSE 3000
CMD ["python3", "-u", "client.py", "--development"]
