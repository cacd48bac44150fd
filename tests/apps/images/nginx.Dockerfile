# What the editor calls nginx:alpine.
FROM wavetank/base:latest AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends nginx-light openssl \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man/* /etc/nginx/sites-enabled/default
RUN rm -rf /var/lib/apt /var/lib/dpkg /var/cache/* /usr/bin/perl* /usr/lib/*/perl-base /usr/lib/*/gconv \
      /usr/share/perl5 /usr/share/zoneinfo /usr/share/bash-completion /usr/share/doc

FROM scratch
COPY --from=build / /
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
